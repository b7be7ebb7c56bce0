# Everything runs in .venv, which is made when first needed and reinstalled only when the project file or the pins
# change. `make demo PYTHON=python3.12` chooses the interpreter (3.11 or later).

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt
PINS := pyproject.toml constraints.txt

# Small circuits are faster on one thread than on several that wait for each other.
export OMP_NUM_THREADS ?= 1

.DEFAULT_GOAL := help
.PHONY: help demo install test test-oldest test-newest test-slow test-elsewhere test-device test-interop test-browser fuzz notebooks docs lint format clean

help:
	@echo "make demo          install into .venv (minutes), compare two circuits with a net on digits 3 and 8 (one minute)"
	@echo "make test          run the test suite"
	@echo "make test-oldest   the test suite with the oldest dependencies allowed, make test-newest with the newest; gigabytes each"
	@echo "make test-slow     run the longer checks"
	@echo "make test-elsewhere  the suite as nobody, without a home, in an order of chance, on one busy core (SEED=1 PARTS=tests/base)"
	@echo "make test-device   PennyLane's own tests of devices, on qlazy.adjoint"
	@echo "make test-interop  circuits of Cirq, Braket and pytket, in an environment of their own"
	@echo "make test-browser  open the report in headless Chromium, where that is installed"
	@echo "make fuzz          damaged programs, files and command lines, thousands of each"
	@echo "make notebooks     run the notebooks in examples/ again, in place"
	@echo "make docs          the documentation as a site, into build/docs: open index.html there"
	@echo "make lint          ruff and mypy"
	@echo "make format        let ruff rewrite the code"
	@echo "make clean         remove the environment and all caches"

demo: $(VENV)/.installed
	$(BIN)/qlazy compare
	@echo 'Open qlazy-out/compare/report.html in a browser.'

install: $(VENV)/.installed

test: $(VENV)/.installed-test
	@$(BIN)/python -m pytest -n auto --dist loadfile

# Each in an environment of its own. What other packages say of their own future is theirs.
test-oldest test-newest: test-%: .venv-%/.installed
	@.venv-$*/bin/python -m pytest -n auto --dist loadfile -W ignore::DeprecationWarning -W ignore::PendingDeprecationWarning

.venv-oldest/.installed: pyproject.toml constraints-oldest.txt
	$(PYTHON) -m venv .venv-oldest
	.venv-oldest/bin/python -m pip install --quiet --disable-pip-version-check -c constraints-oldest.txt --editable '.[test]'
	@touch $@

.venv-newest/.installed: pyproject.toml
	$(PYTHON) -m venv .venv-newest
	.venv-newest/bin/python -m pip install --quiet --disable-pip-version-check --upgrade --editable '.[test]'
	@touch $@

test-slow: $(VENV)/.installed-test
	@$(BIN)/python -m pytest -m slow

test-elsewhere: $(VENV)/.installed-test
	@$(BIN)/python -m tests.elsewhere $(or $(SEED),1) $(PARTS)

test-browser: $(VENV)/.installed-test
	@$(BIN)/python -m pytest -m browser

# The device is exact and has no states: neither is for it what measures a state, takes shots or probabilities of observables.
NOT_GIVEN := load_device or custom_state or BasisRotation or FlipSign or MottonenStatePreparation_state or \
	test_multiple_prob or test_mix_meas or (hadamard and (test_probs or test_multi_meas))

test-device: $(VENV)/.installed-test
	@PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/pl-device-test --device=qlazy.adjoint --shots=None --tb=short -q -W ignore -k "not ($(NOT_GIVEN))"

test-interop: $(VENV)-interop/.installed
	@$(VENV)-interop/bin/python -m pytest tests/quantum/interop/circuits

# Braket and Cirq hold cloudpickle and pandas below the pins, so that they come last and pip warns.
$(VENV)-interop/.installed: $(PINS)
	$(PYTHON) -m venv $(VENV)-interop
	$(VENV)-interop/bin/python -m pip install --quiet --disable-pip-version-check -c constraints.txt --editable ".[qiskit]" pytest hypothesis
	$(VENV)-interop/bin/python -m pip install --quiet --disable-pip-version-check cirq-core==1.7.0 amazon-braket-sdk==1.127.5 pytket==2.18.5
	@touch $@

fuzz: $(VENV)/.installed-test
	@$(BIN)/python -m pytest tests/base/test_robustness.py --hypothesis-profile=fuzz

notebooks: $(VENV)/.installed-test
	$(BIN)/jupyter execute --inplace examples/*.ipynb

docs: $(VENV)/.installed-docs
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

lint: $(VENV)/.installed-lint
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(VENV)/.installed-lint
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:
	rm -rf $(VENV) .venv-oldest .venv-newest $(VENV)-interop .pytest_cache .mypy_cache .ruff_cache .hypothesis build dist

$(VENV)/.created:
	@$(PYTHON) -c "import sys; sys.exit(sys.version_info < (3, 11) and 'qlazy needs Python 3.11 or later; set PYTHON=')"
	$(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/.installed: $(VENV)/.created $(PINS)
	@echo 'Installing into $(VENV), a few minutes in all. 1 of 3: PyTorch, the largest'
	@$(INSTALL) torch
	@echo '2 of 3: PennyLane and numba'
	@$(INSTALL) pennylane numba
	@echo '3 of 3: qlazy and what is left'
	@$(INSTALL) --editable .
	@touch $@

$(VENV)/.installed-%: $(VENV)/.installed
	$(INSTALL) --editable ".[$*]"
	@touch $@
