# The only commands there are; continuous integration calls these, too.
#   make run     set up, get the weights, upscale and cut out the samples, show them in out/index.html
#   make test    check the code, run every test
#   make serve   a server on this machine      make bench   side by side with the peer
#   make check-deploy   check images and chart, as far as that goes without a cluster

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
CHECKERS := .venv-deploy
PIP    := $(BIN)/pip --disable-pip-version-check install --quiet -c constraints.txt

# PyPI's torch for Linux brings 3 GB of CUDA; exporting needs none of it. Where this index can't be
# reached, PyPI's is taken. On a machine with a GPU, PyPI's is the right one.
TORCH_INDEX ?= $(if $(shell command -v nvidia-smi),,--extra-index-url https://download.pytorch.org/whl/cpu)

DEFAULT_NETWORKS := realesrgan-x4plus-anime realesr-animevideov3 u2net
# The last one puts what the others wrote into one table. About two hours on two cores.
BENCHMARKS := upscale matting background enhance fix swap codecs load start memory sizing perf_analyzer summary
PROJECTS := $(wildcard client/pyproject.toml server/pyproject.toml export/pyproject.toml)

.PHONY: run setup test test-full check check-deploy bench serve samples clean
.DELETE_ON_ERROR:

# isnet-anime has one source alone, and migan's second one asks for npm; where they can't be reached,
# u2net cuts out, and OpenCV paints.
run: setup
	@$(BIN)/sakuga-export $(DEFAULT_NETWORKS)
	@$(BIN)/sakuga-export isnet-anime || echo "Going on without isnet-anime: u2net cuts out"
	@$(BIN)/sakuga-export migan || echo "Going on without migan: OpenCV paints"
	@$(BIN)/python samples/showcase.py

setup: $(VENV)/set-up

# Two processes share the cores: a thread that spins while it waits would take one from the other.
TESTED := OMP_WAIT_POLICY=PASSIVE

test: $(VENV)/set-up-tests check
	@$(BIN)/sakuga-export $(DEFAULT_NETWORKS)
	@$(BIN)/sakuga-export migan || echo "Its tests are skipped"
	$(TESTED) $(BIN)/pytest -n 2 -m "not full and not deploy"

test-full: $(VENV)/set-up-tests check
	@$(BIN)/sakuga-export $(DEFAULT_NETWORKS)
	@$(BIN)/sakuga-export migan || echo "Its tests are skipped"
	$(BIN)/pytest -m "not deploy"

# The images and the chart, without a cluster: helm, Envoy, promtool, kubernetes-validate, checkov, hadolint.
check-deploy: $(VENV)/set-up-tests $(CHECKERS)/set-up
	@PYTHONPATH=tests/support $(BIN)/python -m tools
	$(BIN)/pytest tests/deploy

check: $(VENV)/set-up-tests
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/sakuga-export --check
	@$(BIN)/sakuga config check
	@$(BIN)/sakuga config schema | diff config.schema.json - || \
		{ echo "config.schema.json isn't up to date: sakuga config schema > config.schema.json"; exit 1; }

bench: $(VENV)/set-up-bench
	@$(BIN)/sakuga-export $(DEFAULT_NETWORKS)
	for each in $(BENCHMARKS); do \
		PYTHONPATH=tests/support:samples/drawing $(BIN)/python benchmarks/$$each.py || exit 1; done

# What can't be exported isn't served; the rest is.
serve: setup
	@$(BIN)/sakuga-export $(DEFAULT_NETWORKS)
	@$(BIN)/sakuga-export || true
	@$(BIN)/sakuga-export migan || true
	@$(BIN)/sakuga serve

samples: setup
	$(BIN)/python samples/drawing/draw.py

clean:
	rm -rf $(VENV) out

$(VENV)/set-up: constraints.txt $(PROJECTS)
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 13))' || \
		{ echo "Sakuga needs Python 3.11 or 3.12; name one: make PYTHON=python3.11"; exit 1; }
	@echo "Setting up $(VENV); this is done once, and takes about a minute"
	@$(PYTHON) -m venv $(VENV)
	@$(PIP) --no-deps --retries 1 $(TORCH_INDEX) torch
	@$(PIP) -e client -e 'server[embedded]' -e export
	@touch $@

# The reference projects ask for packages that only their training needs, so they come without;
# tests/requirements.txt names what their inference imports.
$(VENV)/set-up-tests: $(VENV)/set-up tests/requirements.txt tests/reference.txt
	@echo "Adding what the tests need; this is done once"
	@$(PIP) -r tests/requirements.txt
	@$(PIP) --no-deps -r tests/reference.txt
	@touch $@

$(CHECKERS)/set-up: kubernetes/requirements.txt
	@echo "Setting up $(CHECKERS); this is done once"
	@$(PYTHON) -m venv $(CHECKERS)
	@$(CHECKERS)/bin/pip --disable-pip-version-check install --quiet -r $<
	@touch $@

$(VENV)/set-up-bench: $(VENV)/set-up-tests benchmarks/requirements.txt
	@$(PIP) -r benchmarks/requirements.txt
	@touch $@
