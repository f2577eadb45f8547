# `make run` starts a gateway to a simulated market, `make test` says whether all is well.  `make help` lists the rest.

SHELL := /bin/sh
VENV := .venv
VENV10 := .venv-ibapi10
BIN := $(VENV)/bin
SOURCES := txtrader tests benchmarks examples setup.py

.PHONY: help venv venv-ibapi10 run test check pytest pytest-ibapi10 bench soak fuzz quickfix docs install uninstall start stop clean
.DEFAULT_GOAL := help

help:  ## this list
	@sed -nE 's/^([a-z0-9-]+):.*## *(.*)/\1|\2/p' $(MAKEFILE_LIST) | awk -F'|' '{ printf "  make %-15s %s\n", $$1, $$2 }'

venv:  ## make .venv with everything, pinned; again only when the pins change
	@service/venv.sh $(VENV) all

venv-ibapi10:  ## the same with the newer generation of the TWS API
	@service/venv.sh $(VENV10) ibapi10

run: venv  ## a gateway to the simulated market, with a user and password of its own
	@exec $(BIN)/python -m txtrader.daemon.quickstart .run

test: venv venv-ibapi10  ## style, types, house rules, tests on both generations of the TWS API
	@failed=; for part in check pytest-ibapi10 pytest; do \
	    $(MAKE) --no-print-directory $$part || failed="$$failed $$part"; \
	done; test -z "$$failed" || { echo "failed:$$failed" >&2; exit 1; }

check: venv  ## ruff, mypy, import-linter
	$(BIN)/ruff format --check $(SOURCES)
	$(BIN)/ruff check $(SOURCES)
	$(BIN)/mypy
	$(BIN)/lint-imports

pytest: venv  ## the tests
	$(BIN)/python -m pytest -m "not soak and not fuzz and not quickfix" $(ARGS)

pytest-ibapi10: venv-ibapi10  ## what meets ibapi, on its newer generation
	$(VENV10)/bin/python -m pytest -m "not soak and not fuzz and not quickfix" $(wildcard tests/wire tests/dialects tests/twsapi tests/adapters) $(ARGS)

bench: venv .venv/.opponents  ## measure; `make bench B=B2` one of them
	$(BIN)/python -m benchmarks.run $(B)

.venv/.opponents: constraints.txt
	$(BIN)/python -m pip install -q -c constraints.txt lightmatchingengine pyorderbook bourse
	@touch $@

soak: venv  ## the long runs
	$(BIN)/python -m pytest -m soak $(ARGS)

fuzz: venv  ## random input, many seeds
	$(BIN)/python -m pytest -m fuzz $(ARGS)

quickfix: venv .venv-quickfix/bin/python  ## QuickFIX trades on the simulated FIX venue, and is the gateway's broker (built first, for minutes)
	$(BIN)/python -m pytest -m quickfix tests/exsim tests/adapters $(ARGS)

.venv-quickfix/bin/python:
	python3 -m venv .venv-quickfix
	.venv-quickfix/bin/pip install quickfix==1.16.0 || { rm -rf .venv-quickfix; exit 1; }

docs: venv  ## write what is generated: docs/settings.md, docs/exsim-control.md, etc/txtrader
	$(BIN)/python -m txtrader.settings.reference docs/settings.md etc/txtrader
	$(BIN)/python -m txtrader.exsim.control.reference docs/exsim-control.md

install:  ## as root: user, /etc/txtrader, the service (MODE=demo or tws)
	@service/install.sh $(or $(MODE),demo)

uninstall:  ## as root: remove the services and the program; PURGE=1 also settings and state
	@PURGE=$(PURGE) service/uninstall.sh

start:  ## as root: start the installed service (MODE=demo or tws)
	@service/control.sh start $(or $(MODE),demo)

stop:  ## as root: stop it
	@service/control.sh stop $(or $(MODE),demo)

clean:  ## remove what the tests and builds leave
	rm -rf build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -not -path './.venv*' -prune -exec rm -rf {} +
