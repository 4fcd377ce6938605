# Two commands do all the set-up: `make demo` and `make test`.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PYTEST := $(BIN)/python -m pytest -n 2 --dist=loadfile --no-loadscope-reorder

# .ci/run cuts the demo down with the first two.
DEMO_NAME := bbc_headlines
DEMO_FLAGS :=
DEMO_TEXTS := "Bank leaves rates unchanged" "Striker wins cup for United" "Phones that see in the dark"

.PHONY: help demo test test-slow test-all lint format clean

help:  ## Show this list.
	@sed -n 's/^\([a-z-]*\):.*  ## /\1\t/p' $(MAKEFILE_LIST) | expand -t 10

demo: $(VENV)/.demo  ## Train on the BBC News headlines, export and ask the model (some minutes).
	$(BIN)/python -m pipelines.prepare_bbc_news --output_dir=demo_data
	$(BIN)/python -m pipelines.train --train_file=demo_data/train.csv --test_file=demo_data/test.csv --output_dir=runs/$(DEMO_NAME) --overwrite_output_dir --num_train_epochs=2 $(DEMO_FLAGS)
	$(BIN)/python -m pipelines.export --run_dir=runs/$(DEMO_NAME) --name=$(DEMO_NAME)
	$(BIN)/python -m pipelines.predict --model=saved_models/$(DEMO_NAME) $(DEMO_TEXTS)
	@echo
	@echo "The data is in demo_data/, the run (metrics, plots, errors.csv) in runs/$(DEMO_NAME)/,"
	@echo "the SavedModel in saved_models/$(DEMO_NAME)/. Next, with a file of your own:"
	@echo "  $(BIN)/python -m pipelines.check_data --train_file=yours.csv"
	@echo "  $(BIN)/python -m pipelines.train --train_file=yours.csv --output_dir=runs/yours"

test: $(VENV)/.demo $(VENV)/.dev  ## Run the tests of every behaviour (some minutes).
	$(PYTEST) -m "not slow"

test-slow: $(VENV)/.demo $(VENV)/.dev  ## Run what is long by nature: workers, kills, browser, ...
	$(PYTEST) -m slow

test-all: $(VENV)/.demo $(VENV)/.dev  ## Run both: what they train in common is trained once.
	$(PYTEST)

lint: $(VENV)/.dev  ## Check style.
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

format: $(VENV)/.dev  ## Mend style.
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:  ## Remove the environment and the demo's files.
	rm -rf $(VENV) runs/$(DEMO_NAME) demo_data saved_models/$(DEMO_NAME)

$(VENV)/.installed: requirements.txt setup.py
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	touch $@

$(VENV)/.demo: requirements-demo.txt $(VENV)/.installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements-demo.txt
	touch $@

$(VENV)/.dev: requirements-dev.txt $(VENV)/.installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements-dev.txt
	touch $@
