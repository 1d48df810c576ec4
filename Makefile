# Needs make and Python 3.11 or newer; everything else goes into .venv.
#
#   make demo                  the main job on synthetic sounds, nothing downloaded
#   make demo DATA=my_sounds   the same on a folder per class, or on a table (csv)
#   make test                  doctests and tests      make lint    style, types, spelling
#   make docs                  HTML manual             make format  rewrite to style
#   make test-oldest           tests with the lower bounds of pyproject.toml, in an
#                              environment of their own; test-newest: with the newest

PYTHON ?= python3
JOBS ?= 2
DATA ?=

VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt

# Two OpenMP threads beside another busy process spin on each other's core, and
# scikit-learn runs one more of its checks with SCIPY_ARRAY_API set.
test test-oldest test-newest docs: export OMP_NUM_THREADS = 1
ifeq ($(DATA),)
demo: export OMP_NUM_THREADS = 1
endif
test test-oldest test-newest: export SCIPY_ARRAY_API = 1

.PHONY: help demo test test-oldest test-newest lint format docs linkcheck bench-views bench-skorch bench-minutes bench-blending bench-esc10 bench-multiview \
	bench-samplecnn bench-samplecnn-speed bench-coala bench-coala-speed bench-swishnet \
	bench-softmax-autoencoder bench-auralisation bench-segmentation bench-probes bench-threads \
	bench-mixing bench-defaults bench-averaging bench-mixed-precision bench-published \
	bench-taggers bench-export bench-cache bench-large-data bench-cluster clean
.DELETE_ON_ERROR:

help:
	@sed -n '3,8s/^# *//p' Makefile

demo: $(VENV)/.installed-plot
	$(BIN)/python docs/demo.py $(if $(DATA),--data "$(DATA)") --output demo_output

test: $(VENV)/.installed-test
	$(BIN)/python -m pytest -q -n $(JOBS) $(PYTEST_ARGS)

# uv resolves to the lower bounds, so that there is no second list of them to keep; what
# is not named there comes in its newest version. UV_TORCH_BACKEND=cpu brings builds of
# torch without CUDA. PYTHON is to be 3.11 for the oldest, the newest there is for the
# newest.
RESOLUTION_oldest := lowest-direct
RESOLUTION_newest := highest
test-oldest test-newest: test-%:
	$(PYTHON) -m venv --clear $(VENV)-$*
	$(VENV)-$*/bin/python -m pip install --quiet --disable-pip-version-check uv
	$(VENV)-$*/bin/uv pip install --quiet --python $(VENV)-$*/bin/python \
		--resolution $(RESOLUTION_$*) -e '.[test]'
	$(VENV)-$*/bin/uv pip list --python $(VENV)-$*/bin/python
	$(VENV)-$*/bin/python -m pytest -q -n $(JOBS) $(PYTEST_ARGS)

lint: $(VENV)/.installed-test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/codespell

format: $(VENV)/.installed-test
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: $(VENV)/.installed-docs
	$(BIN)/python -m sphinx -W --keep-going -b html docs docs/_build/html

linkcheck: docs
	$(BIN)/python docs/check_links.py docs/_build/html

bench-views: $(VENV)/.installed-bench
	OMP_NUM_THREADS=1 $(BIN)/python benchmarks/speed/views.py $(if $(DATA),--data "$(DATA)")

bench-skorch: $(VENV)/.installed-bench
	OMP_NUM_THREADS=1 $(BIN)/python benchmarks/speed/skorch_share.py

bench-minutes: $(VENV)/.installed-bench
	OMP_NUM_THREADS=1 $(BIN)/python benchmarks/speed/minutes.py

bench-blending: $(VENV)/.installed-bench
	OMP_NUM_THREADS=1 $(BIN)/python benchmarks/speed/blending_cost.py

bench-esc10: $(VENV)/.installed-bench
	OMP_NUM_THREADS=1 $(BIN)/python benchmarks/quality/esc10.py $(if $(DATA),--data "$(DATA)")

bench-mixing: $(VENV)/.installed-bench
	OMP_NUM_THREADS=1 $(BIN)/python benchmarks/quality/mixing.py $(if $(DATA),--data "$(DATA)")

bench-defaults: $(VENV)/.installed-bench
	OMP_NUM_THREADS=1 $(BIN)/python benchmarks/quality/defaults.py $(if $(DATA),--data "$(DATA)")

bench-averaging: $(VENV)/.installed-bench
	OMP_NUM_THREADS=1 $(BIN)/python benchmarks/quality/averaging.py $(if $(DATA),--data "$(DATA)")

bench-mixed-precision: $(VENV)/.installed-bench
	OMP_NUM_THREADS=1 $(BIN)/python benchmarks/speed/mixed_precision.py

# BUDGET=gpu DEVICE=cuda: the paper's widths, where there is a GPU; BUDGET=cpu-long for
# bench-multiview: hours, narrow networks with mixing between classes
BUDGET ?= cpu
DEVICE ?= cpu
bench-multiview: $(VENV)/.installed-bench
	OMP_NUM_THREADS=1 $(BIN)/python benchmarks/papers/multiview.py --budget $(BUDGET) --device $(DEVICE) $(if $(DATA),--data "$(DATA)")

bench-samplecnn: $(VENV)/.installed-bench
	OMP_NUM_THREADS=1 $(BIN)/python benchmarks/papers/samplecnn.py --budget $(BUDGET) --device $(DEVICE) $(if $(DATA),--data "$(DATA)")

bench-samplecnn-speed: $(VENV)/.installed-bench
	OMP_NUM_THREADS=1 $(BIN)/python benchmarks/speed/samplecnn.py --device $(DEVICE)

bench-coala: $(VENV)/.installed-bench
	OMP_NUM_THREADS=1 $(BIN)/python benchmarks/papers/coala.py --budget $(BUDGET) --device $(DEVICE) $(if $(DATA),--data "$(DATA)")

bench-coala-speed: $(VENV)/.installed-bench
	OMP_NUM_THREADS=1 $(BIN)/python benchmarks/speed/coala.py --device $(DEVICE) $(if $(DATA),--data "$(DATA)")

bench-swishnet: $(VENV)/.installed-bench
	OMP_NUM_THREADS=1 $(BIN)/python benchmarks/papers/swishnet.py --budget $(BUDGET) --device $(DEVICE) $(if $(DATA),--data "$(DATA)")

bench-softmax-autoencoder: $(VENV)/.installed-bench
	OMP_NUM_THREADS=1 $(BIN)/python benchmarks/papers/softmax_autoencoder.py --budget $(BUDGET) $(if $(DATA),--data "$(DATA)")

bench-auralisation: $(VENV)/.installed-bench
	OMP_NUM_THREADS=1 $(BIN)/python benchmarks/papers/auralisation.py --budget $(BUDGET) --device $(DEVICE) $(if $(DATA),--data "$(DATA)")

bench-segmentation: $(VENV)/.installed-bench
	OMP_NUM_THREADS=1 $(BIN)/python benchmarks/speed/segmentation.py --peers

bench-threads: $(VENV)/.installed-bench
	$(BIN)/python benchmarks/speed/waiting_threads.py

bench-published: $(VENV)/.installed-bench
	OMP_NUM_THREADS=1 $(BIN)/python benchmarks/quality/probes.py $(if $(DATA),--data "$(DATA)")

bench-taggers: $(VENV)/.installed-bench
	OMP_NUM_THREADS=1 $(BIN)/python benchmarks/speed/taggers.py

bench-export: $(VENV)/.installed-bench
	OMP_NUM_THREADS=1 $(BIN)/python benchmarks/speed/export.py

bench-cache: $(VENV)/.installed-bench
	OMP_NUM_THREADS=1 $(BIN)/python benchmarks/speed/cache.py $(if $(DATA),--data "$(DATA)")

# 18 GB of disk for a while
bench-large-data: $(VENV)/.installed-bench
	OMP_NUM_THREADS=1 $(BIN)/python benchmarks/speed/large_data.py

bench-cluster: $(VENV)/.installed-bench
	OMP_NUM_THREADS=1 $(BIN)/python benchmarks/speed/cluster.py $(if $(DATA),--data "$(DATA)")

bench-probes: $(VENV)/.installed-bench
	OMP_NUM_THREADS=1 $(BIN)/python benchmarks/speed/probe_cost.py

clean:
	rm -rf $(VENV) $(VENV)-oldest $(VENV)-newest demo_output build dist docs/_build docs/auto_examples docs/api/generated docs/sg_execution_times.rst docs/_static/generated
	rm -rf .pytest_cache .mypy_cache .ruff_cache
	find skaudio tests benchmarks docs -name __pycache__ -type d -prune -exec rm -rf {} +

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "skaudio needs Python 3.11 or newer; try: make PYTHON=python3.12 ..." >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)

# One stamp per extra; a changed dependency list installs again.
$(VENV)/.installed-%: pyproject.toml constraints.txt | $(BIN)/python
	$(PIP) -e '.[$*]'
	@touch $@
