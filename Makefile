# The only commands there are; continuous integration calls these, too. `make help` lists them: what
# stands behind ## at a target is its line.

SHELL := bash
.SHELLFLAGS := -o pipefail -c

comma := ,
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

.PHONY: run help setup test test-full check check-deploy lock sbom bench soak fuzz serve web docs docs-serve samples clean
.PHONY: version notes dist release images push
.DELETE_ON_ERROR:

# What each step takes on two cores, in seconds, downloads included; what is there already takes less.
# Only `make run` has the last three, and `make dist` needs the first alone.
EXPORTED = $(wildcard model_repository/$(subst -,_,$(1))/1/model.onnx)
SECONDS := 5 45 $(if $(TORCH_INDEX),40,120) 10 $(if $(call EXPORTED,u2net),5,75) $(if $(call EXPORTED,migan),5,15) 110
GOALS   := $(or $(MAKECMDGOALS),run)
STEPS   := $(if $(filter run,$(GOALS)),7,$(if $(filter-out dist,$(GOALS)),4,1))
# Says what the step of a number does, and how long it and the rest will take.
step = @left=0; for each in $(wordlist $(1),$(STEPS),$(SECONDS)); do left=$$((left + each)); done; \
	[ $$left -lt 90 ] && left="$$left s" || left="$$(((left + 30) / 60)) min"; \
	echo "[$(1)/$(STEPS)] $(2): about $(word $(1),$(SECONDS)) s, $$left to the end"

# isnet-anime has one source alone, and migan's second one asks for npm; where they can't be reached,
# u2net removes backgrounds, and OpenCV inpaints.
run: setup ## set up, get the weights, process the samples: out/index.html
	$(call step,5,networks$(comma) 250 MB of weights)
	@$(BIN)/sakuga export $(DEFAULT_NETWORKS)
	$(call step,6,networks that not every mirror has$(comma) 200 MB)
	@$(BIN)/sakuga export isnet-anime || echo "Going on without isnet-anime: remove backgrounds with --model u2net, or set rembg: {model: u2net} in config.yaml"
	@$(BIN)/sakuga export migan || echo "Going on without migan: OpenCV inpaints"
	$(call step,7,samples)
	@$(BIN)/python samples/showcase.py

help: ## list these commands
	@sed -n -E 's/^([a-z-]+):.* ## (.*)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 24

setup: $(DONE)/export ## install everything into .venv

test: $(DONE)/reference check ## check the code, run the tests
	@$(BIN)/sakuga export $(DEFAULT_NETWORKS)
	@$(BIN)/sakuga export migan || echo "Its tests are skipped"
	$(BIN)/pytest -n 2 --durations=10 -m "not full and not deploy"

test-full: $(DONE)/reference check ## the slow tests, too
	@$(BIN)/sakuga export $(DEFAULT_NETWORKS)
	@$(BIN)/sakuga export migan || echo "Its tests are skipped"
	$(BIN)/pytest -m "not deploy"

# The images and the chart, without a cluster: helm, Envoy, promtool, kubernetes-validate, checkov,
# hadolint, pip-audit.
check-deploy: $(DONE)/reference $(CHECKERS)/set-up ## check images and chart, without a cluster
	@PYTHONPATH=tests/support $(BIN)/python -m tools
	$(BIN)/pytest tests/deploy

# One for each image, of docker/requirements; what its base image has isn't in it.
SBOM := build/sbom
sbom: $(CHECKERS)/set-up ## list the images' packages (CycloneDX)
	@mkdir -p $(SBOM)
	@$(foreach image,$(basename $(notdir $(wildcard docker/requirements/*.txt))), \
		$(CHECKERS)/bin/cyclonedx-py requirements --output-reproducible -o $(SBOM)/$(image).json \
			docker/requirements/$(image).txt &&) true

lock: $(CHECKERS)/set-up ## choose and hash the images' packages anew
	@$(CHECKERS)/bin/python docker/lock.py

check: $(DONE)/reference ## ruff, mypy, import-linter; whether generated files are up to date
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports --no-logo
	$(BIN)/mypy
	$(BIN)/sakuga export --check
	@$(BIN)/sakuga config check
	@$(BIN)/sakuga config schema | diff config.schema.json - || \
		{ echo "config.schema.json isn't up to date: sakuga config schema > config.schema.json"; exit 1; }

bench: $(DONE)/bench ## measure, side by side with the peer
	@$(BIN)/sakuga export $(DEFAULT_NETWORKS) $(FAMILIES)
	for each in $(BENCHMARKS); do \
		PYTHONPATH=tests/support:samples/drawing $(BIN)/python benchmarks/$$each.py || exit 1; done

# Thousands of pictures while processes are killed; MINUTES=60 for an hour.
soak: $(DONE)/bench ## process pictures while processes die, and see what is lost or left behind
	@$(BIN)/sakuga export $(DEFAULT_NETWORKS)
	PYTHONPATH=tests/support:samples/drawing $(BIN)/python benchmarks/soak.py \
		$(if $(filter command line,$(origin MINUTES)),--minutes $(MINUTES))

# One after the other; the first fault ends it, and its input is kept.
MINUTES ?= 10
fuzz: $(DONE)/fuzz ## fuzz the parsers
	@mkdir -p out/fuzz
	for each in tests/fuzz/fuzz_*.py; do \
		PYTHONPATH=tests/support $(BIN)/python $$each --minutes $(MINUTES) --faults out/fuzz || exit 1; done

# What can't be exported isn't served; the rest is.
serve: setup ## run a server on this machine
	@$(BIN)/sakuga export $(DEFAULT_NETWORKS)
	@$(BIN)/sakuga export || true
	@$(BIN)/sakuga export migan || true
	@$(BIN)/sakuga serve

web: setup ## a web page and HTTP on this machine, at http://127.0.0.1:8080
	@$(BIN)/sakuga export $(DEFAULT_NETWORKS)
	@$(BIN)/sakuga web

# mkdocs-material would print which program its authors write now.
MKDOCS := NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs
docs: $(DONE)/docs ## build the documentation site: build/site
	@$(MKDOCS) build --strict

docs-serve: $(DONE)/docs ## show the site, rebuilt while its prose is edited
	@$(MKDOCS) serve --livereload

samples: setup ## draw the samples anew
	$(BIN)/python samples/drawing/draw.py

# What an environment variable of that name says doesn't count.
NEW_VERSION = $(if $(filter command line,$(origin VERSION)),$(VERSION))
version: ## print the version; VERSION=0.2.0 sets it, everywhere
	@$(PYTHON) release/version.py $(NEW_VERSION)

notes: ## print what the changelog has on VERSION=…, which has to be the current one
	@$(PYTHON) release/notes.py $(NEW_VERSION)

DIST := build/dist
dist: $(DONE)/release ## build wheels and source distributions into build/dist
	@$(BIN)/python release/dist.py $(DIST)
	@$(BIN)/twine check --strict $(DIST)/*

release: ## publish VERSION=… on GitHub, with what is in build/dist; the workflow does, for a tag
	@mkdir -p build && $(PYTHON) release/notes.py $(NEW_VERSION) > build/notes.md
	gh release create v$(NEW_VERSION) --verify-tag --title "Sakuga $(NEW_VERSION)" \
		--notes-file build/notes.md $(DIST)/*

# The images of docker/compose.yaml; PROFILES=cpu leaves those of GPUs out.
PROFILES ?= cpu gpu
images: ## build the images with Docker
	docker compose -f docker/compose.yaml $(addprefix --profile ,$(PROFILES)) build

# As REGISTRY/sakuga-cpu:0.1.0 and so on.
push: ## push the images that were built to REGISTRY=…
	@[ -n "$(REGISTRY)" ] || { echo "Name a registry: make push REGISTRY=ghcr.io/somebody"; exit 1; }
	registry=$$(echo "$(REGISTRY)" | tr A-Z a-z); \
	for each in $$(sed -n 's/^ *image: sakuga[/]//p' docker/compose.yaml); do \
		docker image inspect sakuga/$$each >/dev/null 2>&1 || continue; \
		docker tag sakuga/$$each $$registry/sakuga-$$each && \
		docker push $$registry/sakuga-$$each || exit 1; done

clean: ## remove .venv and what was made
	rm -rf $(VENV) out build

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
	@echo "Setting up $(VENV) with $(if $(UV),uv,pip); this is done once"
	$(call step,1,Python)
	@$(WORKS) || $(NEW_VENV) $(VENV)
	@mkdir -p $(@D) && touch $@

$(DONE)/server: $(DONE)/python constraints.txt $(filter-out export/%,$(PROJECTS))
	$(call step,2,client$(comma) server and gateway$(comma) with Triton and engines$(comma) 390 MB)
	@$(INSTALL) -e core -e client -e 'server[embedded]' -e gateway $(SHORT)
	@touch $@

# uv gives up where one index of several can't be reached; pip takes the others.
$(DONE)/torch: $(DONE)/server
	$(call step,3,torch$(comma) $(if $(TORCH_INDEX),190 MB,3 GB with CUDA))
	@$(INSTALL) $(if $(TORCH_INDEX),--no-deps) $(if $(UV),,--retries 1) $(TORCH_INDEX) torch $(SHORT) || \
		{ [ -n "$(UV)" ] && $(INSTALL) --no-deps torch; }
	@touch $@

$(DONE)/export: $(DONE)/torch export/pyproject.toml
	$(call step,4,export$(comma) 30 MB)
	@$(INSTALL) -e export $(SHORT)
	@touch $@

$(DONE)/tests: $(DONE)/export tests/requirements.txt docs/requirements.txt
	@echo "What the tests need: 75 MB"
	@$(INSTALL) -r tests/requirements.txt $(SHORT)
	@touch $@

$(DONE)/release: $(DONE)/python release/requirements.txt
	@$(INSTALL) -r release/requirements.txt $(SHORT)
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
