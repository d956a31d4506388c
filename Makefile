# `make book` reads: environment, data, pages, site. `make help` lists the rest.
VENV ?= .venv
KEY := $(shell cat pyproject.toml constraints.txt | cksum | tr ' ' '-')
BOOK := $(VENV)/.book-$(KEY)
TEST := $(VENV)/.test-$(KEY)
LAB := $(VENV)/.lab-$(KEY)
RUN := $(VENV)/bin/python
export PYTHONPATH := $(CURDIR)

.PHONY: help book test workbooks lab serve zip runs readme lock clean

help:  ## list what can be made
	@sed -n 's/^\([a-z]*\):.*## /  make \1\t/p' Makefile | expand -t 18

book: $(BOOK)  ## execute the pages and build the site
	@$(RUN) -m tools.build

test: $(TEST)  ## run the tests
	@OMP_NUM_THREADS=1 MKL_NUM_THREADS=1 $(RUN) -m pytest -n 2 --dist loadgroup

workbooks: book  ## build, and copy new workbooks to workbooks/, yours
	@$(RUN) -m tools.workbooks

lab: workbooks $(LAB)  ## do the exercises: your workbooks in JupyterLab
	@mkdir -p _build/.lab
	@export JUPYTER_CONFIG_DIR=$(CURDIR)/_build/.lab && \
	$(VENV)/bin/jupytext-config set-default-viewer markdown && \
	$(RUN) -m jupyterlab workbooks/index.ipynb

serve: $(BOOK)  ## show the site on http://localhost:8000
	@test -f _build/html/index.html || { echo "Run make book first." >&2; exit 1; }
	@$(RUN) -m http.server --bind localhost --directory _build/html 8000

zip: book  ## pack the site into one archive that opens from disk
	@$(RUN) -m tools.archive

runs: $(BOOK)  ## repeat the recorded runs whose code has changed (NAME=one)
	@$(RUN) -m zth runs $(NAME)

readme: $(BOOK)  ## fill the table of results in README.md
	@$(RUN) -m tools.ledger --write

lock: $(BOOK)  ## renew the versions in constraints.txt
	@$(RUN) -m tools.lock

clean:  ## remove what was built, the environment excepted
	@rm -rf _build

# One stamp for each set of packages, named after the content of the pins.
$(BOOK) $(TEST) $(LAB):
	@fits='import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))'; \
	for python in $(or $(PYTHON),python3.11 python3.12 python3.13 python3); do \
	  if $$python -c "$$fits" 2>/dev/null; then \
	    fitting=$$python; \
	    if $$python -c 'import ensurepip, venv' 2>/dev/null; then \
	      exec $$python tools/environment.py $@; fi; fi; done; \
	if [ "$$fitting" ]; then \
	  echo "$$fitting has no venv module: install it" \
	    "(Debian, Ubuntu: apt install python3-venv), then run make again."; \
	else \
	  echo "The book needs Python 3.11, 3.12 or 3.13, and" \
	    "$(if $(PYTHON),$(PYTHON) is none,none was found):" \
	    "install one, or say where it is with PYTHON=/path/to/python3.12."; \
	fi >&2; exit 1
