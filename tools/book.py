"""Keeps the book's texts, notebooks and pages together. One way only: text -> executed notebook -> page.

A chapter is written in chapters/NN_name.md (MyST Markdown). `sync` turns it into notebooks/NN_name.ipynb,
which is committed with its outputs; `check` holds the two together; `run` executes the notebooks with other
parameters, away from the committed ones; `build` makes the pages. `root` is always the repository's folder.

What is complete follows from the texts and the table of contents alone (`contents`). Notebooks, checks of outputs and
pages are held against it, so that nothing is green because it did not run.
"""

import argparse
import copy
import hashlib
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import venv
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

import jupytext
import nbformat
import papermill
import yaml
from bs4 import BeautifulSoup
from nbformat import NotebookNode
from papermill.exceptions import PapermillExecutionError
from sphinx_external_toc.parsing import parse_toc_yaml

import run_pages

ROOT = Path(__file__).resolve().parent.parent
# Stated here, so that it does not depend on the machine; papermill needs the language to write parameters.
KERNELSPEC = {"display_name": "Python 3", "language": "python", "name": "python3"}
NOTABLE_LINES, MOST_LINES = 15, 25  # of a code cell: over the first is remarked on, over the second fails
# A path that starts at the root or on a drive; not the tail of an address, an HTML tag or a ratio.
ABSOLUTE_PATH = re.compile(r"(?<![\w.:/<~*)\]}-])/(?:[\w.+-]+/)+[\w.+-]*|\b[A-Za-z]:\\\w+")
FILE_NAME = re.compile(r"^\S*/\S*$|\.(png|jpe?g|svg|gif|webp)$", re.IGNORECASE)
# The first code cell of every notebook. On Colab, or in a folder with nothing else, it brings what all chapters import.
SETUP = """\
# Where the book's package is not there yet, as on Colab, this installs it.
import importlib.util

if importlib.util.find_spec("resnet_lib") is None:
    %pip install --quiet git+{url}"""
COLAB_HAS = ("torch", "torchvision", "numpy", "pandas", "matplotlib", "ipykernel", "nbclient")
ORDER = "the outputs are not those of one run from the first cell to the last"
PARAMETERS = ('profile = "best"', "retrain = False")  # of every chapter; `run` gives them other values
ALONE_SECONDS = 60  # for one notebook, with the installation of the package
# MathJax comes as many ready-made bundles; the pages load this one, which finds its fonts beside itself.
MATHJAX_BUNDLE = "tex-chtml.js"


class BookError(Exception):
    """What the user can mend; its message is one line."""


@dataclass(frozen=True)
class Contents:
    """What a complete book has: pages by _toc.yml, figures and code cells by the chapters' texts."""

    pages: int
    figures: int
    cells: dict[str, int]  # of each chapter, with the one that installs the package

    def __str__(self) -> str:
        return f"{self.pages} pages, {self.figures} figures, {sum(self.cells.values())} cells executed"


def contents(root: Path) -> Contents:
    """Counts what is written, never what was built."""
    chapters = {text.stem: code_cells(read_text(text)) for text in chapter_texts(root)}
    figures = sum(has_figure(cell) for cells in chapters.values() for cell in cells)
    return Contents(len(toc_pages(root)), figures, {name: len(cells) for name, cells in chapters.items()})


# -------------------------------------------------------------------------------------------------- notebooks


def chapter_texts(root: Path) -> list[Path]:
    """The chapters' texts, in the order of their numbers."""
    if texts := sorted((root / "chapters").glob("*.md")):
        return texts
    raise BookError(f"no chapter in {root / 'chapters'}")


def read_text(path: Path) -> NotebookNode:
    """The notebook that a chapter's text stands for, without outputs, and with the cell that installs the package."""
    try:
        notebook = jupytext.read(path, fmt="md:myst")
    except Exception as error:  # jupytext raises whatever its parsers raise
        raise BookError(f"{path}: {first_line(error)}") from None
    first = next((n for n, cell in enumerate(notebook.cells) if cell.cell_type == "code"), len(notebook.cells))
    setup = nbformat.v4.new_code_cell(SETUP.format(url=repository(path.parent.parent)))
    setup.metadata.tags = ["remove-cell"]  # the pages do not show it: their readers have nothing to install
    notebook.cells.insert(first, setup)
    return clean(notebook)


def code_cells(notebook: NotebookNode) -> list[NotebookNode]:
    """The cells that are executed, in order."""
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def has_figure(cell: NotebookNode) -> bool:
    """Whether a code cell's metadata promise an image, with its alternative text."""
    return "image" in cell.metadata.get("mystnb", {})


def repository(root: Path) -> str:
    """The address of the repository, from the one line of _config.yml that names it."""
    try:
        return yaml.safe_load((root / "_config.yml").read_text())["repository"]["url"]
    except (OSError, KeyError, TypeError, yaml.YAMLError) as error:
        raise BookError(f"{root / '_config.yml'}: no repository with a url ({first_line(error)})") from None


def read_notebook(path: Path) -> NotebookNode:
    """A notebook as it lies on disk."""
    try:
        return nbformat.read(path, as_version=4)
    except (OSError, ValueError, nbformat.ValidationError) as error:
        raise BookError(f"{path}: {first_line(error)}") from None


def first_line(error: Exception) -> str:
    """What a traceback ends with, on one line."""
    return f"{type(error).__name__}: {error}".strip().splitlines()[0]


def clean(notebook: NotebookNode) -> NotebookNode:
    """Drops what differs between two runs or says nothing: times, random cell ids, the kernel's version."""
    notebook.metadata = NotebookNode(kernelspec=KERNELSPEC)
    notebook.nbformat, notebook.nbformat_minor = 4, 5
    for cell in notebook.cells:
        cell.metadata.pop("papermill", None)
        cell.metadata.pop("execution", None)
        if not cell.metadata.get("tags"):
            cell.metadata.pop("tags", None)
    return name_cells(notebook)


def name_cells(notebook: NotebookNode) -> NotebookNode:
    """Gives each cell its id, a digest of its source: adding a cell leaves the ids of the others alone."""
    seen: Counter[str] = Counter()
    for cell in notebook.cells:
        digest = hashlib.sha256(f"{cell.cell_type}\n{cell.source}".encode()).hexdigest()[:12]
        seen[digest] += 1
        cell.id = digest if seen[digest] == 1 else f"{digest}-{seen[digest]}"
    return notebook


def execute(source: Path, target: Path, parameters: dict[str, object], folder: Path) -> str | None:
    """Runs a notebook in `folder`, writes it to `target` and returns what went wrong, if anything did."""
    try:
        papermill.execute_notebook(
            source,
            target,
            parameters,
            cwd=folder,
            progress_bar=False,
            coalesce_streams=True,  # else what a cell prints is split by chance
            extra_arguments=["--log-level=CRITICAL"],  # ipykernel's remarks on its own sockets
        )
    except PapermillExecutionError as error:
        return f"code cell {error.exec_count}: {error.ename}: {error.evalue}".splitlines()[0]
    except Exception as error:  # a dead kernel, say: it must not keep the other chapters from running
        return first_line(error)
    return order_problem(read_notebook(target))


def order_problem(notebook: NotebookNode) -> str | None:
    """Whether every code cell was executed, once, from the first to the last."""
    counts = [cell.execution_count for cell in code_cells(notebook)]
    return None if counts == list(range(1, len(counts) + 1)) else ORDER


def library_digest(root: Path) -> str:
    """Of all that outputs come from beside a chapter's cells: the library, its data and records, and the versions."""
    digest = hashlib.sha256(".".join(platform.python_version_tuple()[:2]).encode())
    files = [path for path in (root / "resnet_lib").rglob("*") if path.is_file() and "__pycache__" not in path.parts]
    for path in sorted([*files, *root.glob("requirements.txt")]):
        content = path.read_bytes()
        digest.update(f"{path.relative_to(root).as_posix()} {len(content)}\n".encode() + content)
    return digest.hexdigest()


def key(chapter: NotebookNode, library: str) -> str:
    """Changes when the outputs of a chapter's cells might; its prose does not count."""
    cells = [(cell.source, cell.metadata) for cell in code_cells(chapter)]
    return hashlib.sha256(f"{library} {cells}".encode()).hexdigest()[:16]


def with_outputs(chapter: NotebookNode, executed: Path) -> NotebookNode | None:
    """The chapter with the outputs of an executed notebook, or None if there is none of just these cells."""
    try:
        notebook = read_notebook(executed)
    except BookError:
        return None
    ours, theirs = code_cells(chapter), code_cells(notebook)
    if [cell.source for cell in ours] != [cell.source for cell in theirs] or order_problem(notebook):
        return None
    for mine, other in zip(ours, theirs, strict=True):
        mine.outputs, mine.execution_count = other.outputs, other.execution_count
    return chapter


def sync(root: Path, names: Sequence[str] = (), fresh: bool = False) -> list[str]:
    """Executes the named chapters' texts, or all, and puts the notebooks in place; returns the problems.

    A notebook is replaced whole or not at all: that of a chapter that fails stays as it was. Executed notebooks are
    kept in build/executed under their `key`, and a chapter that has one there is not executed again, unless all is to
    be `fresh`.
    """
    notebooks, cache = root / "notebooks", root / "build" / "executed"
    notebooks.mkdir(exist_ok=True)
    cache.mkdir(parents=True, exist_ok=True)
    problems = []
    texts = chapter_texts(root)
    if unknown := set(names) - {text.stem for text in texts}:
        raise BookError(f"no chapter {', '.join(sorted(unknown))} in {root / 'chapters'}")
    wanted = [text for text in texts if not names or text.stem in names]
    chapters = {text: read_text(text) for text in wanted}  # one that cannot be read stops it here
    library = library_digest(root)
    for text, chapter in chapters.items():
        start = time.monotonic()
        target = notebooks / f"{text.stem}.ipynb"
        kept = cache / f"{text.stem}.{key(chapter, library)}.ipynb"
        done = "as executed before"
        # On the same disk as the notebook: only there is `replace` atomic.
        with tempfile.TemporaryDirectory(dir=cache, prefix=".sync-") as folder:
            plain, executed = Path(folder, "plain.ipynb"), Path(folder, "executed.ipynb")
            if fresh or with_outputs(chapter, kept) is None:
                nbformat.write(chapter, plain)
                if failure := execute(plain, executed, {}, folder=notebooks):
                    problems.append(f"{text.relative_to(root)}: {failure} (its old notebook stays)")
                    continue
                for older in cache.glob(f"{text.stem}.*.ipynb"):
                    older.unlink()
                executed.replace(kept)
                done = f"executed in {clock(time.monotonic() - start)}"
            nbformat.write(with_outputs(chapter, kept), plain)
            plain.replace(target)
        print(f"{target.relative_to(root)}: {done}", flush=True)
    return problems


# ----------------------------------------------------------------------------------------------------- checks


def check(root: Path) -> list[str]:
    """Whether texts, notebooks and table of contents agree and outputs are whole; returns the problems."""
    texts = {path.stem: path for path in chapter_texts(root)}
    notebooks = {path.stem: path for path in sorted((root / "notebooks").glob("*.ipynb"))}
    listed = {name.removeprefix("notebooks/") for name in toc_pages(root) if name.startswith("notebooks/")}

    problems = [f"chapters/{name}.md has no notebook" for name in texts.keys() - notebooks.keys()]
    problems += [f"notebooks/{name}.ipynb has no text" for name in notebooks.keys() - texts.keys()]
    problems += [f"notebooks/{name}.ipynb is not in _toc.yml" for name in notebooks.keys() - listed]
    problems += [
        f"_toc.yml lists notebooks/{name}, which has no text" for name in listed - texts.keys() - notebooks.keys()
    ]
    for name in sorted(texts.keys() & notebooks.keys()):
        notebook = read_notebook(notebooks[name])
        found = [*agreement_problems(read_text(texts[name]), notebook), *output_problems(notebook)]
        problems += [f"notebooks/{name}.ipynb: {problem}" for problem in found]
    return problems


def agreement_problems(text: NotebookNode, notebook: NotebookNode) -> list[str]:
    """Where a notebook's sources, tags and other cell metadata differ from its text's."""
    if len(text.cells) != len(notebook.cells):
        return [f"{len(notebook.cells)} cells, but {len(text.cells)} in the text: run `make notebooks`"]
    return [
        f"cell {number} differs from the text in its {part}: run `make notebooks`"
        for number, (ours, theirs) in enumerate(zip(text.cells, notebook.cells, strict=True), start=1)
        for part in ("cell_type", "source", "metadata")
        if ours[part] != theirs[part]
    ]


def output_problems(notebook: NotebookNode) -> list[str]:
    """What is wrong with an executed notebook's cells and outputs, whatever its text says."""
    cells = code_cells(notebook)
    problems = []
    tagged = [cell.source for cell in cells if "parameters" in cell.metadata.get("tags", [])]
    if len(tagged) != 1:
        problems.append(f"{len(tagged) or 'no'} cells are tagged 'parameters', not one")
    problems += [f"its parameters lack {line}" for source in tagged for line in PARAMETERS if line not in source]
    if clean(copy.deepcopy(notebook)) != notebook:
        problems.append("holds what differs from run to run, such as times: run `make notebooks`")
    if not any(cell.outputs for cell in cells):
        problems.append("no cell has an output")
    if problem := order_problem(notebook):
        problems.append(problem)
    for number, cell in enumerate(cells, start=1):
        if (lines := len(cell.source.splitlines())) > MOST_LINES:
            problems.append(f"code cell {number} has {lines} lines, more than {MOST_LINES}")
        problems += [f"code cell {number}: {problem}" for problem in cell_problems(cell)]
    return problems


def cell_problems(cell: NotebookNode) -> Iterator[str]:
    """What is wrong with a code cell's source or outputs."""
    for text in (cell.source, *(output_text(output) for output in cell.outputs)):
        if found := ABSOLUTE_PATH.search(text):
            yield f"holds the absolute path {found[0]}"
    for output in cell.outputs:
        if output.output_type == "error":
            yield f"raised {output.ename}"
        if output.output_type == "stream" and output.name == "stderr":
            yield f"wrote to stderr: {output.text.strip().splitlines()[0]}"
        if is_image(output):
            alt = cell.metadata.get("mystnb", {}).get("image", {}).get("alt")
            if problem := alt_problem(alt):
                yield f"the alt text of its image {problem}"
    if has_figure(cell) and not any(map(is_image, cell.outputs)):
        yield "shows no figure, though it has an alt text for one"


def is_image(output: NotebookNode) -> bool:
    """Whether an output is a picture."""
    return any(kind.startswith("image/") for kind in output.get("data", {}))


def output_text(output: NotebookNode) -> str:
    """All that a reader can read of an output: streams, tracebacks, text and HTML, but no image."""
    data = output.get("data", {})
    readable = [str(value) for kind, value in data.items() if not kind.startswith("image/")]
    return "\n".join([output.get("text", ""), *output.get("traceback", []), *readable])


def alt_problem(alt: str | None) -> str | None:
    """Why an alternative text does not say what an image shows."""
    if not alt or not alt.strip():
        return "is missing"
    return f"is a file name: {alt}" if FILE_NAME.search(alt.strip()) else None


def long_cells(root: Path) -> list[str]:
    """The code cells that are long, though not too long."""
    return [
        f"{text.relative_to(root)}: code cell {number} has {lines} lines, more than {NOTABLE_LINES}"
        for text in chapter_texts(root)
        for number, cell in enumerate(code_cells(read_text(text)), start=1)
        if (lines := len(cell.source.splitlines())) > NOTABLE_LINES
    ]


def ran(root: Path, report: Path) -> list[str]:
    """Whether every code cell of every chapter is among what pytest's report (JUnit's XML) says has passed.

    nbval finds notebooks by their files: by itself it is content with those that are there.
    """
    try:
        cases = ElementTree.parse(report).iter("testcase")
    except (OSError, ElementTree.ParseError) as error:
        raise BookError(f"{report}: {first_line(error)}; run `make nbval`") from None
    files = [case.get("classname", "") for case in cases if not len(case)]  # a child says: skipped or failed
    passed = Counter(file.removesuffix(".ipynb").rpartition(".")[2] for file in files)
    due = contents(root).cells.items()
    return [f"{name}: {passed[name]} of its {cells} cells ran" for name, cells in due if passed[name] != cells]


# -------------------------------------------------------------------------------------------------------- run


def run(root: Path, out: Path, profile: str, retrain: bool) -> list[str]:
    """Executes every notebook with these parameters into `out`; returns the problems once all have run."""
    parameters = {"profile": profile, "retrain": retrain}
    sources = [root / "notebooks" / f"{text.stem}.ipynb" for text in chapter_texts(root)]
    out.mkdir(parents=True, exist_ok=True)
    due = contents(root).cells
    expected = {source: seconds_before(out / source.name, parameters) for source in sources}
    taken: list[float] = []
    problems = []
    start = time.monotonic()
    for number, source in enumerate(sources, start=1):
        left = time_left([expected[later] for later in sources[number - 1 :]], taken)
        print(f"[{number}/{len(sources)}] {source.stem}, {left}", flush=True)
        began = time.monotonic()
        with progress_lines(out / "progress.log"):
            failure = execute(source, out / source.name, parameters, folder=out)
        # papermill adds a cell, with the parameters
        if not failure and (cells := len(code_cells(read_notebook(out / source.name))) - 1) != due[source.stem]:
            failure = f"{cells} cells ran, but its text has {due[source.stem]}: run `make notebooks`"
        taken.append(time.monotonic() - began)
        if failure:
            problems.append(f"{source.stem}: {failure}")
        state = "failed" if failure else "done"
        print(f"[{number}/{len(sources)}] {source.stem} {state} after {clock(taken[-1])}", flush=True)
    passed = len(sources) - len(problems)
    print(f"{passed} of {len(sources)} notebooks ran in {clock(time.monotonic() - start)}; they are in {out}")
    return problems


def seconds_before(previous: Path, parameters: dict[str, object]) -> float | None:
    """How long an earlier run with the same parameters took, if one left its notebook."""
    try:
        record = read_notebook(previous).metadata.get("papermill", {})
    except BookError:
        return None
    same = record.get("parameters") == parameters and not record.get("exception")
    return record.get("duration") if same else None


def time_left(expected: list[float | None], taken: list[float]) -> str:
    """An estimate in words: earlier runs' times where known, else the mean of the notebooks already done."""
    mean = sum(taken) / len(taken) if taken else None
    seconds = [mean if known is None else known for known in expected]
    if None in seconds:
        return "time left not known yet"
    return f"about {clock(sum(seconds))} left"


def clock(seconds: float) -> str:
    """Minutes and seconds, as 1:05; with hours, as 1:02:03."""
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"


@contextmanager
def progress_lines(path: Path) -> Iterator[None]:
    """Prints the lines that the library appends, in the notebooks' kernels, to the file RESNET_LIB_PROGRESS.

    What a kernel prints ends up in its notebook; this is the way past it, so that a long cell is not silent.
    """
    path.write_text("")
    os.environ["RESNET_LIB_PROGRESS"] = str(path.resolve())
    stop = threading.Event()

    def follow() -> None:
        with path.open(encoding="utf-8", errors="replace") as file:
            line = ""
            last_look = False
            while not last_look:
                last_look = stop.wait(0.2)
                while part := file.readline():
                    line += part
                    if line.endswith("\n"):  # else the library is still writing it
                        print(f"    {line}", end="", flush=True)
                        line = ""

    follower = threading.Thread(target=follow)
    follower.start()
    try:
        yield
    finally:
        stop.set()
        follower.join()
        del os.environ["RESNET_LIB_PROGRESS"]


# ------------------------------------------------------------------------------------------------------ alone


def alone(root: Path) -> list[str]:
    """Executes each notebook by itself in an empty folder, as on Colab; returns the problems.

    The environment is new and has only what Colab brings. The first cell installs the package, here from a clone of
    this repository instead of the address that it names, and each notebook has to do that anew.
    """
    problems = []
    with tempfile.TemporaryDirectory() as scratch:
        environment, clone = Path(scratch, "env"), Path(scratch, "clone")
        subprocess.run(["git", "clone", "--quiet", root, clone], check=True)
        venv.create(environment, with_pip=True)
        python = environment / "bin" / "python"
        pip = [python, "-m", "pip", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*pip, "install", "--constraint", root / "requirements.txt", *COLAB_HAS], check=True)
        here, there = f"git+{repository(root)}", f"git+file://{clone}"
        for text in chapter_texts(root):
            start = time.monotonic()
            subprocess.run([*pip, "uninstall", "--yes", "resnet-lib"], check=True, stderr=subprocess.DEVNULL)
            with tempfile.TemporaryDirectory() as folder:
                notebook = Path(folder, f"{text.stem}.ipynb")
                source = (root / "notebooks" / notebook.name).read_text()
                if here not in source:
                    problems.append(f"{text.stem}: no cell installs the package from {repository(root)}")
                    continue
                notebook.write_text(source.replace(here, there))
                result = subprocess.run(
                    [environment / "bin" / "jupyter-execute", notebook, "--inplace", f"--timeout={ALONE_SECONDS}"],
                    cwd=folder,
                    env={name: value for name, value in os.environ.items() if not name.startswith("RESNET_LIB")},
                    capture_output=True,
                    text=True,
                )
                if result.returncode:
                    problems.append(f"{text.stem}: {(result.stderr.strip().splitlines() or ['no reason given'])[-1]}")
                elif problem := order_problem(read_notebook(notebook)):
                    problems.append(f"{text.stem}: {problem}")
            taken = time.monotonic() - start
            if taken > ALONE_SECONDS:
                problems.append(f"{text.stem}: took {clock(taken)}, more than {clock(ALONE_SECONDS)}")
            print(f"{text.stem}: ran alone in {clock(taken)}", flush=True)
    return problems


# ------------------------------------------------------------------------------------------------------ build


def toc_pages(root: Path) -> list[str]:
    """The pages that _toc.yml lists, as paths without an ending."""
    return [str(Path(name).with_suffix("")) for name in parse_toc_yaml(root / "_toc.yml")]


def build(root: Path) -> list[str]:
    """Makes the pages in build/book, with warnings as errors; returns the problems.

    Always from nothing, since Sphinx repeats no warning for a page that it did not read again. The pages of
    the last good build stay until this one is good too.
    """
    target = root / "build" / "book"
    target.parent.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".book-") as folder:
        try:
            pages = jupyter_book(root, Path(folder), "html")
        except BookError as error:
            return [str(error)]
        drop_unused_scripts(pages)
        name_roles(pages)
        if problems := page_problems(root, pages):
            return problems
        shutil.rmtree(target, ignore_errors=True)
        pages.replace(target)
    print(f"open {target / 'index.html'}")
    return []


def jupyter_book(root: Path, folder: Path, builder: str) -> Path:
    """Runs a builder of jupyter-book, with warnings as errors, and returns where it left the pages in `folder`."""
    config = folder / "_config.yml"
    config.write_text(served_config(root))
    command = [Path(sys.executable).with_name("jupyter-book"), "build", root, "--path-output", folder]
    command += ["--config", config, "--toc", root / "_toc.yml", "--builder", builder]
    extensions = os.pathsep.join([str(root), str(root / "tools"), os.environ.get("PYTHONPATH", "")])
    result = subprocess.run(
        [*command, "-W", "-n", "--keep-going", "--quiet"],
        env=os.environ | {"PYTHONPATH": extensions},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if result.returncode:
        print(result.stdout, end="", file=sys.stderr)
        raise BookError(f"jupyter-book ended with status {result.returncode}; what it said stands above")
    return folder / "_build" / builder


def chromium() -> str:
    """The browser that looks at pages: the program that CHROMIUM names, else one of the usual names."""
    names = [os.environ["CHROMIUM"]] if "CHROMIUM" in os.environ else ["chromium", "chromium-browser", "google-chrome"]
    if found := next(filter(None, map(shutil.which, names)), None):
        return found
    raise BookError(f"no {names[0]} on this machine: install chromium, or name a browser of its kind in CHROMIUM")


def served_config(root: Path) -> str:
    """_config.yml; on a hosting service the buttons lead to the repository whose pipeline builds the pages."""
    text = (root / "_config.yml").read_text()
    if slug := os.environ.get("GITHUB_REPOSITORY"):
        host = os.environ.get("GITHUB_SERVER_URL", "https://github.com")
        return text.replace(repository(root), f"{host}/{slug}")
    return text


def drop_unused_scripts(pages: Path) -> None:
    """Removes scripts that pages can do without, more than half of the built book.

    Of MathJax's bundles pages load one. Font Awesome's script draws as pictures, on every page, the icons that its font
    shows anyway.
    """
    mathjax = pages / "_static" / "mathjax"
    for script in mathjax.glob("*.js"):
        if script.name != MATHJAX_BUNDLE:
            script.unlink()
    for unused in ("input/mml", "output/svg"):
        shutil.rmtree(mathjax / unused)
    for script in (pages / "_static" / "scripts").glob("fontawesome.js*"):
        script.unlink()
    for page in pages.rglob("*.html"):
        page.write_text(re.sub(r"<script [^>]*/fontawesome\.js[^>]*></script>\n?", "", page.read_text()))


def name_roles(pages: Path) -> None:
    """Says what a page's parts are, for who hears them.

    The theme leaves the title and search of the left column outside any landmark. Sphinx gives references a role that
    is deprecated, and that no item of a list may have.
    """
    column = 'id="pst-primary-sidebar" class="bd-sidebar-primary bd-sidebar"'
    for page in pages.rglob("*.html"):
        text = page.read_text().replace(column, f'{column} role="complementary" aria-label="Book"')
        page.write_text(text.replace('role="doc-biblioentry"', 'role="listitem"'))


def page_problems(root: Path, pages: Path) -> list[str]:
    """What a reader would miss: a page, a figure, an alternative text, or what only a network has."""
    listed = set(toc_pages(root))
    built = {str(path.relative_to(pages).with_suffix("")) for path in pages.rglob("*.html")}
    built -= {"index", "genindex", "search"}  # Sphinx's own, as are those in folders like _static
    built = {name for name in built if not name.startswith(("_", f"{run_pages.FOLDER}/"))}
    problems = [f"_toc.yml lists {name}, which was not built" for name in sorted(listed - built)]
    problems += [f"{name} was built, but is not in _toc.yml" for name in sorted(built - listed)]
    problems += run_pages.problems(pages, root / "resnet_lib" / "records")
    runs = run_pages.listed(pages)
    for name in sorted(built & listed):
        page = pages / f"{name}.html"
        soup = BeautifulSoup(page.read_text(encoding="utf-8"), "html.parser")
        found = [*image_problems(page, soup), *run_pages.dead_links(page, soup), *offline_problems(soup)]
        notebook = root / f"{name}.ipynb"
        if notebook.exists():
            executed = read_notebook(notebook)
            found += [*figure_problems(executed, soup), *shown_problems(executed, soup)]
            found += run_pages.link_problems(code_cells(executed), soup, runs)
        problems += [f"{name}: {problem}" for problem in found]
    return problems


def figure_problems(notebook: NotebookNode, page: BeautifulSoup) -> Iterator[str]:
    """Whether the page shows every image of its notebook's outputs."""
    hidden = {"remove-output", "remove-cell"}
    outputs = [
        output
        for cell in notebook.cells
        if cell.cell_type == "code" and not hidden & set(cell.metadata.get("tags", []))
        for output in cell.outputs
    ]
    due = sum(any(kind.startswith("image/") for kind in output.get("data", {})) for output in outputs)
    shown = len(page.select(".cell_output img"))
    if shown != due:
        yield f"shows {shown} figures of the {due} in its notebook"


def shown_problems(notebook: NotebookNode, page: BeautifulSoup) -> Iterator[str]:
    """Whether the page has every code cell of its notebook that is not removed from pages."""
    due = sum("remove-cell" not in cell.metadata.get("tags", []) for cell in code_cells(notebook))
    shown = len(page.select("div.cell"))
    if shown != due:
        yield f"shows {shown} cells of the {due} in its notebook"


def image_problems(path: Path, page: BeautifulSoup) -> Iterator[str]:
    """Images of the text that are not there or whose alternative text says nothing."""
    for image in page.select("article img"):
        if not (path.parent / image["src"]).is_file():
            yield f"its image {image['src']} is not in the build"
        if problem := alt_problem(image.get("alt")):
            yield f"the alt text of {image['src']} {problem}"


def offline_problems(page: BeautifulSoup) -> Iterator[str]:
    """What the page would load from another host, and so lack when read from a folder."""
    loaded = page.select("script[src], img[src], iframe[src], link[rel~=stylesheet], link[rel~=preload]")
    for element in loaded:
        address = element.get("src") or element.get("href")
        if re.match(r"(https?:)?//", address):
            yield f"loads {address}"


# ----------------------------------------------------------------------------------------------- command line


def main(arguments: list[str] | None = None) -> int:
    """Runs one command; the status is 1 if it found problems and 2 if it could not start."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    sync_parser = commands.add_parser("sync", help="chapters/*.md to executed notebooks/*.ipynb")
    sync_parser.add_argument("names", nargs="*", help="chapters, as 03_residual_formulation (default: all)")
    sync_parser.add_argument("--fresh", action="store_true", help="execute also what was executed before, unchanged")
    ran_parser = commands.add_parser("ran", help="has nbval run every cell of every chapter?")
    ran_parser.add_argument("report", type=Path, help="what pytest's --junitxml wrote")
    commands.add_parser("check", help="do texts and notebooks agree, are the outputs whole?")
    run_parser = commands.add_parser("run", help="execute the notebooks with other parameters, elsewhere")
    run_parser.add_argument("--profile", default="smoke", help="schedule to train with (default: smoke)")
    run_parser.add_argument(
        "--out",
        type=Path,
        default=ROOT / "build" / "reproduce",
        help="folder for the notebooks (default: build/reproduce)",
    )
    run_parser.add_argument(
        "--retrain",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="train, instead of showing what is recorded (default: train)",
    )
    commands.add_parser("alone", help="execute each notebook in an empty folder of a new environment, as on Colab")
    commands.add_parser("build", help="the pages, with warnings as errors, into build/book")
    options = parser.parse_args(arguments)

    try:
        match options.command:
            case "sync":
                problems = sync(ROOT, options.names, options.fresh)
            case "ran":
                problems = ran(ROOT, options.report)
                if not problems:
                    cells = contents(ROOT).cells
                    print(f"== notebooks: {sum(cells.values())} cells of {len(cells)} chapters give what is committed")
            case "check":
                for remark in long_cells(ROOT):
                    print(f"note: {remark}")
                problems = check(ROOT)
            case "run":
                problems = run(ROOT, options.out.resolve(), options.profile, options.retrain)
            case "alone":
                problems = alone(ROOT)
            case "build":
                problems = check(ROOT) or build(ROOT)
                if not problems:
                    print(f"== book: {contents(ROOT)}")
    except (BookError, OSError) as error:
        print(f"{parser.prog}: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    for problem in problems:
        print(f"{parser.prog} {options.command}: {problem}", file=sys.stderr)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
