# The two commands a newcomer needs: `make demo` and `make test`. Each installs what it lacks.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
CODE := protocol rlog master agent schedulers observability tests
SUDO := $(shell [ "$$(id -u)" = 0 ] || { command -v sudo >/dev/null && echo sudo -n; })

.PHONY: demo test check bench generate install clean

demo: $(VENV)/installed
	@$(BIN)/quorate demo $(ARGS)

test: $(VENV)/installed-dev $(VENV)/debian/usr/bin/promtool $(VENV)/debian/usr/bin/linux.uml check
	$(BIN)/python -m pytest $(ARGS)

check: $(VENV)/installed-dev
	$(BIN)/ruff format --check $(CODE)
	$(BIN)/ruff check $(CODE)
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache
	$(BIN)/python -m protocol.generate --check
	$(BIN)/python -m pytest -q tests/test_tidy.py

bench: $(VENV)/installed-dev $(VENV)/debian/usr/bin/etcd
	$(BIN)/python -m tests.bench $(ARGS)

generate: $(VENV)/installed-dev
	$(BIN)/python -m protocol.generate

install: $(VENV)/installed

$(VENV)/bin/python:
	@command -v $(PYTHON) >/dev/null || { \
	  echo "installing $(PYTHON) and its venv module (Debian packages)"; \
	  $(SUDO) apt-get -qq update && $(SUDO) apt-get -qq install -y $(PYTHON) $(PYTHON)-venv; } || { \
	  echo "$(PYTHON) is missing and cannot be installed by this user: install it, or run 'make PYTHON=/path/to/python3.11 …'" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip' 2>/dev/null || { \
	  echo "installing the venv module of $(PYTHON) (Debian package $(PYTHON)-venv)"; \
	  $(SUDO) apt-get -qq update && $(SUDO) apt-get -qq install -y $(PYTHON)-venv; } || { \
	  echo "$(PYTHON) lacks ensurepip: as root, 'apt-get install $(PYTHON)-venv'" >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV)

$(VENV)/installed: pyproject.toml | $(VENV)/bin/python
	@echo "installing quorate into $(VENV)"
	@$(BIN)/python -m pip -q --disable-pip-version-check install -e . || { \
	  echo "pip could not install quorate's dependencies; is a package index reachable?" >&2; exit 1; }
	@touch $@

$(VENV)/installed-dev: pyproject.toml | $(VENV)/installed
	@echo "installing the tools of the checks and tests into $(VENV)"
	@$(BIN)/python -m pip -q --disable-pip-version-check install -e '.[dev]'
	@touch $@

# promtool checks the alert rules; linux.uml is a machine whose power tests cut; etcd is measured beside
# us. Debian's packages are unpacked beside the tools, so that no service starts.
$(VENV)/debian/usr/bin/promtool: PACKAGE := prometheus
$(VENV)/debian/usr/bin/linux.uml: PACKAGE := user-mode-linux
$(VENV)/debian/usr/bin/etcd: PACKAGE := etcd-server
$(VENV)/debian/usr/bin/promtool $(VENV)/debian/usr/bin/linux.uml $(VENV)/debian/usr/bin/etcd: | $(VENV)/bin/python
	@mkdir -p $(VENV)/debian
	@cd $(VENV)/debian && { apt-get -qq download $(PACKAGE) 2>/dev/null || { \
	  $(SUDO) apt-get -qq update && apt-get -qq download $(PACKAGE); }; } 2>/dev/null \
	  && dpkg -x $(PACKAGE)_*.deb . && rm -f $(PACKAGE)_*.deb \
	  || echo "$(@F) is missing and could not be fetched (Debian package $(PACKAGE), needs root once for 'apt-get update'); what needs it will say so"

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis
