# Two commands do everything on a fresh machine: `make demo` and `make test`.

PYTHON ?= python3
BIN := .venv/bin

.PHONY: demo test check docs bench gpu schema

demo: .venv/installed
	rm -rf medseg_demo
	$(BIN)/medseg demo --out medseg_demo

# Files of tests are shared out among as many processes; `make test WORKERS=8` where there are more cores.
WORKERS ?= 2
test: .venv/installed
	$(BIN)/python -m pytest --numprocesses $(WORKERS) --dist loadfile

check: .venv/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# The site, in site/index.html; notebooks are run only where they or the library have changed.
docs: .venv/docs
	$(BIN)/python -m docs.execute_notebooks
	$(BIN)/python -m docs.assemble
	$(BIN)/zensical build --clean --strict
	$(BIN)/python -m docs.check_site

# Needs the real scans: MEDSEG_DATA must point to them.
bench: .venv/installed
	$(BIN)/python benchmarks/norm.py
	$(BIN)/python benchmarks/resample.py
	$(BIN)/python benchmarks/store.py
	$(BIN)/python benchmarks/inference_memory.py
	$(BIN)/python benchmarks/manifest_scale.py
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt '.[bench]'
	$(BIN)/python benchmarks/intake.py --data "$$MEDSEG_DATA"
	$(BIN)/python benchmarks/recipe.py --data "$$MEDSEG_DATA/msd_hippocampus" --store medseg_store --steps 400 --out recipe.jsonl

# Everything that a CUDA machine can tell; `make gpu DEVICE=cpu QUICK=1` tries the script without one. It installs
# nothing: an existing .venv is used, else python3, and PYTHON=... names another.
DEVICE ?= cuda
gpu:
	$(if $(filter file,$(origin PYTHON)),$(or $(wildcard $(BIN)/python),$(PYTHON)),$(PYTHON)) \
		benchmarks/gpu.py --out gpu_results --device $(DEVICE) $(if $(QUICK),--quick)

schema: .venv/installed
	$(BIN)/python -c 'import json; from medseg.manifest import manifest_schema; print(json.dumps(manifest_schema(), indent=2))' > data_manifests/schema.json

.venv/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	touch $@

.venv/docs: .venv/installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev,docs]'
	touch $@
