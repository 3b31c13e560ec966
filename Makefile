# make demo     the whole job on real recordings, from nothing
# make test     all tests, from nothing
# make soak     power cuts at every write of a deploy, and all else that takes long
# make bench    cycles, code bytes and heap, compared with the last committed figures
# make fuzz     three minutes of fuzzing of the loader, the kernels' checks and the reader of .tflite
# make build    cores and kernels for every architecture
# make firmware MicroPython for every emulated board
# make wheel    dist/wingbeat-*.whl, with the cores and kernels in it
# make models   trains all of models/ again, in an environment with TensorFlow; needs a network
# make lint     ruff and mypy

VENV := .venv
PYTHON := $(VENV)/bin/python
READY := $(VENV)/.ready
KERAS := .venv-keras
KERAS_READY := $(KERAS)/.ready

.PHONY: setup build firmware demo test soak bench fuzz models lint wheel clean

setup: $(READY)

$(READY): requirements-dev.txt pyproject.toml ports/system.sh ports/tools.txt
	sh ports/system.sh
	python3 -m venv $(VENV)
	$(VENV)/bin/pip install --quiet --disable-pip-version-check -r requirements-dev.txt
	$(VENV)/bin/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	touch $@

build: setup
	$(PYTHON) ports/build.py

firmware: setup
	$(PYTHON) ports/firmware.py

demo: build
	$(PYTHON) examples/exercises/demo.py

lint: setup
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy

# A worker for each core; one that has nothing left to do takes tests from the others.
test: build firmware lint
	$(PYTHON) -m pytest -n auto --dist worksteal

soak: build firmware
	$(PYTHON) -m pytest tests/soak/*.py

bench: build firmware
	$(PYTHON) bench/bench.py

fuzz: setup
	$(PYTHON) tests/fuzz/fuzz.py
	$(PYTHON) tests/fuzz/fuzz_tflite.py

$(KERAS_READY): requirements-keras.txt
	python3 -m venv $(KERAS)
	$(KERAS)/bin/pip install --quiet --disable-pip-version-check --no-deps -r requirements-keras.txt
	touch $@

models: build $(KERAS_READY)
	mkdir -p build
	PYTHONPATH=host:tests:ports:. $(KERAS)/bin/python -m pytest tests/keras_models
	cd build && PYTHONPATH=../host ../$(KERAS)/bin/python ../examples/quantization_aware/train.py
	for recipe in models/*/recipe.py; do \
		PYTHONPATH=host:tests:ports:. $(KERAS)/bin/python $$recipe || exit 1; \
	done

wheel: build
	rm -rf build
	$(VENV)/bin/pip wheel --quiet --disable-pip-version-check --no-deps --no-build-isolation -w dist .

clean:
	rm -rf $(VENV) $(KERAS) build dist host/wingbeat/_blobs host/*.egg-info
