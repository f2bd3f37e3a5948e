"""Whether texts, notebooks and table of contents agree, and whether outputs are whole."""

import copy
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

from nbformat import NotebookNode

from book import BookError, first_line
from book.notebooks import (
    PICTURES,
    TIMED,
    clean,
    code_cells,
    has_figure,
    is_image,
    order_problem,
    pictures,
    read_notebook,
)
from book.texts import chapter_texts, contents, read_text, toc_pages

NOTABLE_LINES, MOST_LINES = 15, 25  # of a code cell: over the first is remarked on, over the second fails
# A path that starts at the root or on a drive; not the tail of an address, an HTML tag or a ratio.
ABSOLUTE_PATH = re.compile(r"(?<![\w.:/<~*)\]}-])/(?:[\w.+-]+/)+[\w.+-]*|\b[A-Za-z]:\\\w+")
FILE_NAME = re.compile(r"^\S*/\S*$|\.(png|jpe?g|svg|gif|webp)$", re.IGNORECASE)
PARAMETERS = ('profile = "best"', "retrain = False")  # of every chapter; `reproduce` gives them other values


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
    return problems + picture_problems(root / "notebooks")


def picture_problems(folder: Path) -> list[str]:
    """Which pictures in a folder's notebooks are not those that were there when they were executed."""
    path = folder / PICTURES
    notebooks = {notebook.stem: notebook for notebook in sorted(folder.glob("*.ipynb"))}
    lines = path.read_text().splitlines() if path.exists() else []
    noted = {line for line in lines if line.split("  ", 1)[1].partition(",")[0] in notebooks}  # the others were removed
    there = {line for name, notebook in notebooks.items() for line in pictures(name, read_notebook(notebook))}
    odd = sorted({line.split("  ", 1)[1] for line in noted ^ there})
    again = "run `make notebooks`, or `make seal` if it is right"
    return [f"notebooks/{place}: the picture is not the one that {PICTURES} has; {again}" for place in odd]


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
    if cell.outputs and TIMED in cell.metadata.get("tags", []):
        yield "keeps what it measured, which is another at every execution: run `make notebooks`"
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
