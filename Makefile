# The only commands there are; continuous integration calls these, too.
#   make run     set up, get the weights, process the samples, show them in out/index.html
#   make test    check the code, run every test
#   make serve   a server on this machine      make bench   side by side with the peer
#   make web     a web page and HTTP on this machine, at http://127.0.0.1:8080
#   make check-deploy   check images and chart, as far as that goes without a cluster
#   make docs    the documentation as a site, in build/site; docs-serve shows it while its prose is edited
#   make lock    choose and hash the images' packages anew      make sbom    list them (CycloneDX)

SHELL := bash
.SHELLFLAGS := -o pipefail -c

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
DONE   := $(VENV)/done
CHECKERS := .venv-deploy

# PyPI's torch for Linux brings 3 GB of CUDA; exporting needs none of it. Where this index can't be
# reached, PyPI's is taken. On a machine with a GPU, PyPI's is the right one.
TORCH_INDEX ?= $(if $(shell command -v nvidia-smi),,--extra-index-url https://download.pytorch.org/whl/cpu)

DEFAULT_NETWORKS := realesrgan-x4plus-anime realesr-animevideov3 u2net
FAMILIES := waifu2x-cunet waifu2x-upconv-anime waifu2x-upconv-photo realcugan-se realcugan-pro
# The last one puts what the others wrote into one table. About three hours on two cores.
BENCHMARKS := upscale families quality animation matting background enhance fix swap codecs load fairness gateway page start memory \
	sizing precision perf_analyzer summary
# core first: the others need it, and no registry has it.
PROJECTS := $(foreach room,core client server export gateway,$(wildcard $(room)/pyproject.toml))

.PHONY: run setup test test-full check check-deploy lock sbom bench fuzz serve web docs docs-serve samples clean
.DELETE_ON_ERROR:

# isnet-anime has one source alone, and migan's second one asks for npm; where they can't be reached,
# u2net removes backgrounds, and OpenCV inpaints.
run: setup
	@$(BIN)/sakuga export $(DEFAULT_NETWORKS)
	@$(BIN)/sakuga export isnet-anime || echo "Going on without isnet-anime: u2net removes backgrounds"
	@$(BIN)/sakuga export migan || echo "Going on without migan: OpenCV inpaints"
	@$(BIN)/python samples/showcase.py

setup: $(DONE)/export

test: $(DONE)/reference check
	@$(BIN)/sakuga export $(DEFAULT_NETWORKS)
	@$(BIN)/sakuga export migan || echo "Its tests are skipped"
	$(BIN)/pytest -n 2 --durations=10 -m "not full and not deploy"

test-full: $(DONE)/reference check
	@$(BIN)/sakuga export $(DEFAULT_NETWORKS)
	@$(BIN)/sakuga export migan || echo "Its tests are skipped"
	$(BIN)/pytest -m "not deploy"

# The images and the chart, without a cluster: helm, Envoy, promtool, kubernetes-validate, checkov,
# hadolint, pip-audit.
check-deploy: $(DONE)/reference $(CHECKERS)/set-up
	@PYTHONPATH=tests/support $(BIN)/python -m tools
	$(BIN)/pytest tests/deploy

# One for each image, of docker/requirements; what its base image has isn't in it.
SBOM := build/sbom
sbom: $(CHECKERS)/set-up
	@mkdir -p $(SBOM)
	@$(foreach image,$(basename $(notdir $(wildcard docker/requirements/*.txt))), \
		$(CHECKERS)/bin/cyclonedx-py requirements --output-reproducible -o $(SBOM)/$(image).json \
			docker/requirements/$(image).txt &&) true

lock: $(CHECKERS)/set-up
	@$(CHECKERS)/bin/python docker/lock.py

check: $(DONE)/reference
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports --no-logo
	$(BIN)/mypy
	$(BIN)/sakuga export --check
	@$(BIN)/sakuga config check
	@$(BIN)/sakuga config schema | diff config.schema.json - || \
		{ echo "config.schema.json isn't up to date: sakuga config schema > config.schema.json"; exit 1; }

bench: $(DONE)/bench
	@$(BIN)/sakuga export $(DEFAULT_NETWORKS) $(FAMILIES)
	for each in $(BENCHMARKS); do \
		PYTHONPATH=tests/support:samples/drawing $(BIN)/python benchmarks/$$each.py || exit 1; done

# One after the other; the first fault ends it, and its input is kept.
MINUTES ?= 10
fuzz: $(DONE)/fuzz
	@mkdir -p out/fuzz
	for each in tests/fuzz/fuzz_*.py; do \
		PYTHONPATH=tests/support $(BIN)/python $$each --minutes $(MINUTES) --faults out/fuzz || exit 1; done

# What can't be exported isn't served; the rest is.
serve: setup
	@$(BIN)/sakuga export $(DEFAULT_NETWORKS)
	@$(BIN)/sakuga export || true
	@$(BIN)/sakuga export migan || true
	@$(BIN)/sakuga serve

web: setup
	@$(BIN)/sakuga export $(DEFAULT_NETWORKS)
	@$(BIN)/sakuga web

# mkdocs-material would print which program its authors write now.
MKDOCS := NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs
docs: $(DONE)/docs
	@$(MKDOCS) build --strict

docs-serve: $(DONE)/docs
	@$(MKDOCS) serve --livereload

samples: setup
	$(BIN)/python samples/drawing/draw.py

clean:
	rm -rf $(VENV) out

# Setting up. Each step has its stamp, so what was interrupted goes on where it was. An environment
# that is there and doesn't run, because it was cut off or its Python is gone, is made anew.
WORKS := $(BIN)/python -c 'import pip' 2>/dev/null
BROKEN := $(if $(wildcard $(VENV)),$(shell $(WORKS) || echo broken))

# uv is several times as fast as pip, and doesn't read pip's settings.
UV := $(shell command -v uv)
export UV_FIND_LINKS ?= $(PIP_FIND_LINKS)
ifdef UV
NEW_VENV := uv venv --quiet --seed --clear --python $(PYTHON)
INSTALL := uv pip install --python $(BIN)/python -c constraints.txt
SHORT :=
else
NEW_VENV := $(PYTHON) -m venv --clear
INSTALL := $(BIN)/pip --disable-pip-version-check install --no-compile --progress-bar off -c constraints.txt
# Of what pip prints, errors and large downloads stay.
NO_NEWS := already satisfied|^Looking in|^ *(Collecting|Obtaining|Processing|Preparing|Building|Getting) |[.]metadata
NO_NEWS := $(NO_NEWS)|Installing build dep|build_editable|Created wheel|Stored in|Location .* is ignored|Retrying
NO_NEWS := $(NO_NEWS)|Attempting uninstall|Found existing|Uninstalling|^ *Successfully|[(][0-9.]+ kB[)]|^ *$$
SHORT := 2>&1 | sed -u -E -e '/$(NO_NEWS)/d' -e 's/(Installing collected packages).*/  \1/'
endif

.PHONY: broken
$(DONE)/python: $(BROKEN)
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 13))' || \
		{ echo "Sakuga needs Python 3.11 or 3.12; name one: make PYTHON=python3.11"; exit 1; }
	@echo "Setting up $(VENV) with $(if $(UV),uv,pip): 600 MB to download, once"
	@echo "[1/4] Python"
	@$(WORKS) || $(NEW_VENV) $(VENV)
	@mkdir -p $(@D) && touch $@

$(DONE)/server: $(DONE)/python constraints.txt $(filter-out export/%,$(PROJECTS))
	@echo "[2/4] client, server and gateway, with Triton and engines: 390 MB"
	@$(INSTALL) -e core -e client -e 'server[embedded]' -e gateway $(SHORT)
	@touch $@

# uv gives up where one index of several can't be reached; pip takes the others.
$(DONE)/torch: $(DONE)/server
	@echo "[3/4] torch: $(if $(TORCH_INDEX),190 MB,3 GB with CUDA)"
	@$(INSTALL) $(if $(TORCH_INDEX),--no-deps) $(if $(UV),,--retries 1) $(TORCH_INDEX) torch $(SHORT) || \
		{ [ -n "$(UV)" ] && $(INSTALL) --no-deps torch; }
	@touch $@

$(DONE)/export: $(DONE)/torch export/pyproject.toml
	@echo "[4/4] export: 30 MB"
	@$(INSTALL) -e export $(SHORT)
	@touch $@

$(DONE)/tests: $(DONE)/export tests/requirements.txt docs/requirements.txt
	@echo "What the tests need: 75 MB"
	@$(INSTALL) -r tests/requirements.txt $(SHORT)
	@touch $@

# The reference projects ask for packages that only their training needs, so they come without;
# tests/requirements.txt names what their inference imports.
$(DONE)/reference: $(DONE)/tests tests/reference.txt
	@$(INSTALL) --no-deps -r tests/reference.txt $(SHORT)
	@touch $@

$(DONE)/bench: $(DONE)/reference benchmarks/requirements.txt
	@$(INSTALL) -r benchmarks/requirements.txt $(SHORT)
	@touch $@

# The pages are made from the code, so all of it has to be there.
$(DONE)/docs: $(DONE)/export docs/requirements.txt
	@echo "What the documentation needs: 25 MB"
	@$(INSTALL) -r docs/requirements.txt $(SHORT)
	@touch $@

$(DONE)/fuzz: $(DONE)/tests tests/fuzz/requirements.txt
	@$(INSTALL) -r tests/fuzz/requirements.txt $(SHORT)
	@touch $@

# A Python of its own: checkov wants versions that the project doesn't.
$(CHECKERS)/set-up: kubernetes/requirements.txt
	@echo "Setting up $(CHECKERS); this is done once"
	@$(PYTHON) -m venv $(CHECKERS)
	@$(CHECKERS)/bin/pip --disable-pip-version-check install --quiet -r $<
	@touch $@
