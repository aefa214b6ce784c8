# `make help` lists what can be made.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
RUN_STAMP := $(VENV)/.installed
TEST_STAMP := $(VENV)/.installed-tests
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: help run test check bench pictures pages format lock clean

help: ## list the targets
	@grep -E '^[a-z]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "make %-8s %s\n", $$1, $$2}'

run: $(RUN_STAMP) ## install what is needed and open the dashboard; ARGS="--model resnet18" passes options on
	$(BIN)/python app.py $(ARGS)

test: $(TEST_STAMP) ## install what is needed and run the tests but for their slow forms; ARGS="-k sweep" passes options on
	@sh .ci/browser
	@sh .ci/redis
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder -m "not slow" $(ARGS)

check: $(TEST_STAMP) ## the whole gate: format, lint, docstrings, types, import order, all tests
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/pydoclint --quiet lurk app.py
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache
	$(MAKE) --no-print-directory test ARGS='-m "" --cov --cov-report=term:skip-covered $(ARGS)'

bench: $(TEST_STAMP) ## run the benchmarks, print their tables and write docs/performance.md anew
	$(BIN)/python -m benchmarks.performance
	$(BIN)/python -m benchmarks.pictures --lucent .bench/torch-lucent
	$(BIN)/python -m benchmarks.maps --rounds 1
	$(BIN)/python -m benchmarks.load --people 20 --seconds 20 --stalled 20 --idle 5
	$(BIN)/python -m benchmarks.faults --waiting 100 --kills 10

pictures: $(TEST_STAMP) ## take the README's pictures anew, of the whole demo set
	LURK_SCREENSHOTS=docs LURK_SCREENSHOT_SAMPLE=25 $(BIN)/python -m pytest tests/browser/test_real.py -m slow

pages: $(RUN_STAMP) ## write what README.md and docs/methods.md say of the methods anew
	$(BIN)/python docs/method_pages.py

format: $(TEST_STAMP) ## put the code in its format
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

lock: $(TEST_STAMP) ## write requirements.lock.txt anew
	$(BIN)/pip-compile --quiet --no-header --generate-hashes --allow-unsafe --strip-extras --no-emit-index-url --no-emit-find-links \
		--no-annotate -o requirements.lock.txt requirements.txt

clean: ## remove the virtual environment and what tools leave behind
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .coverage

$(VENV)/pyvenv.cfg:
	$(PYTHON) -m venv $(VENV)

$(RUN_STAMP): $(VENV)/pyvenv.cfg requirements.txt
	$(BIN)/python -m pip install --quiet -r requirements.txt
	touch $@

$(TEST_STAMP): $(RUN_STAMP) requirements-test.txt
	$(BIN)/python -m pip install --quiet -r requirements-test.txt
	touch $@
