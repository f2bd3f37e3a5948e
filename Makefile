# The two commands of the README, and what they are made of. Needs Python 3.11 or later, make and git.
PYTHON ?= python3
PROFILE ?= smoke
BIN := .venv/bin
STAMP := .venv/.installed
BOOK := PYTHONPATH=tools $(BIN)/python -m book

# A test file or notebook stays with one worker: its tests share state, and a notebook's cells need each other.
# One thread to each worker: two that want both cores each spend their time waiting.
PYTEST := OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadfile

.PHONY: help reproduce test lint unit forged nbval notebooks alone verdicts seal campaign
.PHONY: book translations slides archive conf pdf rendered clean

help:
	@echo "make reproduce   run every chapter, retraining its nets, then print a report and build the book"
	@echo "                 PROFILE=smoke (default: minutes, embedded data), quick (hours) or paper (needs a GPU)"
	@echo "make test        check the code, the committed notebooks and the book: make lint, unit, nbval and book"
	@echo
	@echo "make notebooks   make the committed notebooks from the texts in chapters/, executed where something changed"
	@echo "                 FRESH=1 executes all of them"
	@echo "make book        build the pages from the committed notebooks"
	@echo "                 PLAIN=1 does it by Sphinx and conf.py, without jupyter-book"
	@echo "make translations  bring the catalogues in locale/ up to date after a text has changed, and say what to translate"
	@echo "                 PAGE=notebooks/13_ledger begins that of another page"
	@echo "make slides      slides, lab and prediction sheet for a classroom, from teaching/ (make book has them, too)"
	@echo "make pdf         print the whole book as build/book.pdf (needs Chromium)"
	@echo "make rendered    look at the built pages in Chromium: accessibility, offline, weight, two widths, keyboard"
	@echo "make forged      try many forged files of each kind, more than make test does"
	@echo "make alone       run each notebook in an empty folder of a new environment, as on Colab"
	@echo "make verdicts    store the verdicts that the committed records give, for the tests to hold"
	@echo "make seal        write down anew what all records, weights and pictures are, for the tests to hold"
	@echo "make campaign    train CIFAR-10 by the paper's own schedule, for as long as you let it (days on a CPU);"
	@echo "                 repeat to go on"
	@echo "make clean       remove what the other commands made, except .venv"
	@echo
	@echo "PYTHON=python3.13 chooses the interpreter that .venv is made from"

$(STAMP): requirements.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or later is needed, and $(PYTHON) is " + sys.version.split()[0] + ": make PYTHON=/path/to/python3.11")'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --disable-pip-version-check -r requirements.txt
	$(BIN)/python -m pip install --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

reproduce: $(STAMP)
	$(BOOK) reproduce --profile $(PROFILE)
	@echo '== chapters: all ran'
	$(BIN)/python -m resnet_lib report --profile $(PROFILE)
	@echo '== report: above'
	$(BOOK) build

test: lint unit nbval book
	@echo '== test: all passed'

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports --no-cache --no-logo
	@echo '== lint: passed'

unit: $(STAMP)
	$(PYTEST)
	@echo '== unit tests: passed'

# As part of the tests it takes seconds; RESNET_LIB_FUZZ=50 tries as many times as many files, and says how many.
forged: $(STAMP)
	RESNET_LIB_FUZZ=$${RESNET_LIB_FUZZ:-10} OMP_NUM_THREADS=1 $(BIN)/python -m pytest tests/test_fuzz.py
	@echo '== forged: each file was loaded whole or refused'

nbval: $(STAMP)
	$(PYTEST) --nbval --nbval-current-env --junitxml=build/nbval.xml notebooks
	$(BOOK) ran build/nbval.xml

notebooks: $(STAMP)
	$(BOOK) sync $(if $(FRESH),--fresh)

alone: $(STAMP)
	$(BOOK) alone
	@echo '== alone: each notebook ran by itself in an empty folder'

# After runs were recorded anew: look at the diff before it is sealed.
seal: $(STAMP)
	$(BOOK) seal

verdicts: $(STAMP)
	$(BIN)/python -m resnet_lib report --verdicts > tests/verdicts.json

# Two nets at a time on two cores, at low priority: a laptop stays usable. Stop it when you like; it saves itself.
campaign: $(STAMP)
	nice -n 10 $(BIN)/python -m resnet_lib train --campaign --compile

book: $(STAMP)
	$(BOOK) build $(if $(PLAIN),--plain)

# After a change of a translated page's text; the pages themselves are part of the book.
translations: $(STAMP)
	$(BOOK) translations $(PAGE)

# As part of `make notebooks`, too: what archives want to know of the book, from what is there.
archive: $(STAMP)
	$(BOOK) archive

# After a change of _config.yml.
conf: $(STAMP)
	$(BOOK) conf

slides: $(STAMP)
	$(BOOK) slides

pdf: $(STAMP)
	$(BOOK) pdf

rendered: $(STAMP)
	$(PYTEST) -m rendered tests/book/test_rendered.py
	@echo '== rendered: the built pages hold in a browser'

clean:
	rm -rf build *.egg-info .pytest_cache .ruff_cache .hypothesis
	find chapters notebooks resnet_lib tests tools -name __pycache__ -prune -exec rm -rf {} +
