# Two commands: `make run` starts the whole site on this machine, `make test` proves it. They need Python 3.11 or newer.
# PYTHON=python3.13 chooses the interpreter, PORT=8001 the web address.

PYTHON ?= python3
BIN := .venv/bin
# .python-version is for the platform. pyenv reads it too, and would ask every laptop for that one version.
ifndef PYENV_VERSION
export PYENV_VERSION := $(shell pyenv global 2>/dev/null | paste -sd:)
endif
# Named for the interpreter: another one makes a new environment, changed requirements only install into it.
ENVIRONMENT := .venv/made-by-$(notdir $(PYTHON))

help: ## List these targets
	@sed -n 's/^\([a-z-]*\):.*## /\1|/p' $(MAKEFILE_LIST) | while IFS='|' read -r name text; do printf '  make %-9s %s\n' "$$name" "$$text"; done

run: export DEBUG = true
run: $(ENVIRONMENT) ## Start everything: embedded servers, web, workers, beat. Ctrl-C stops it, .local/ keeps the data
	@$(BIN)/python manage.py up

test: lint ## Check the code and run all tests, on servers of their own
	$(BIN)/python -m pytest --numprocesses 4 --dist worksteal

coverage: $(ENVIRONMENT) ## Run all tests and show the lines and branches that none of their processes ran
	$(BIN)/coverage erase
	-$(BIN)/coverage run -m pytest --numprocesses 4 --dist worksteal
	$(BIN)/coverage combine --quiet
	$(BIN)/coverage report

drills: $(ENVIRONMENT) ## Test for many rounds what must never happen, on servers of its own; about four hours
	@$(BIN)/python -m labs.drills

exercises: $(ENVIRONMENT) ## List the exercises, two for each practice, and which of them you have passed
	@$(BIN)/python -m exercises

exercise: $(ENVIRONMENT) ## Do one: N=5 finds a mistake, N=5b builds; then CHECK=1, HINT=1, SOLUTION=1, FRESH=1
	@$(BIN)/python -m exercises $(N) $(if $(CHECK),--check) $(if $(SOLUTION),--solution) $(if $(FRESH),--fresh) $(if $(HINT),--hint $(HINT))

faults: $(ENVIRONMENT) ## Make each fault of Celery in docs/what-celery-does.md, without our fix and with it; ARGS=--save writes the page
	@$(BIN)/python -m labs.faults $(ARGS); valkey=$$?; $(BIN)/python -m labs.faults --rabbitmq $(ARGS) && exit $$valkey

bench: $(ENVIRONMENT) ## Measure the bars of docs/bench.md, on servers of its own; some minutes on a quiet machine
	@$(BIN)/python -m bench

lab: $(ENVIRONMENT) ## Run the lab of a practice, on servers of its own: make lab N=3 ARGS="--rounds 5"
	@$(BIN)/python -m labs $(N) $(ARGS)

lint: export DEBUG = true
lint: $(ENVIRONMENT) ## Check the code only
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/djlint --check --lint --quiet templates
	$(BIN)/codespell *.md docs templates
	$(BIN)/python -m devtools.readability
	$(BIN)/lint-imports
	$(BIN)/python manage.py check --fail-level WARNING

$(ENVIRONMENT): requirements.txt requirements-dev.txt
	@$(PYTHON) -c 'import sys; sys.exit("mediaapp needs Python 3.11 or newer; this one is %d.%d. Name another: make run PYTHON=python3.13" % sys.version_info[:2] if sys.version_info < (3, 11) else 0)'
	@test -e $@ || $(PYTHON) -m venv --clear .venv
	@echo "Installing the packages into .venv, once; about half a minute ..."
	@# --no-compile: Python compiles what it imports; all of it would take 12 s of a processor more.
	@$(BIN)/pip install -qq --no-compile --disable-pip-version-check --requirement requirements-dev.txt
	@touch $@

.PHONY: help run test coverage drills exercises exercise faults bench lab lint
