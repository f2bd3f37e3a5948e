"""What is written: the chapters' texts, the table of contents, and what a complete book has by them."""

from dataclasses import dataclass
from pathlib import Path

import jupytext
import nbformat
import yaml
from nbformat import NotebookNode
from sphinx_external_toc.parsing import parse_toc_yaml

from book import BookError, first_line
from book.notebooks import clean, code_cells, has_figure

# The first code cell of every notebook. On Colab, or in a folder with nothing else, it brings what all chapters import.
SETUP = """\
# Where the book's package is not there yet, as on Colab, this installs it.
import importlib.util

if importlib.util.find_spec("resnet_lib") is None:
    %pip install --quiet git+{url}"""


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


def toc_pages(root: Path) -> list[str]:
    """The pages that _toc.yml lists, as paths without an ending."""
    return [str(Path(name).with_suffix("")) for name in parse_toc_yaml(root / "_toc.yml")]


def chapter_texts(root: Path) -> list[Path]:
    """The chapters' texts, in the order of their numbers.

    Raises:
        BookError: there is none.
    """
    if texts := sorted((root / "chapters").glob("*.md")):
        return texts
    raise BookError(f"no chapter in {root / 'chapters'}")


def read_text(path: Path) -> NotebookNode:
    """The notebook that a chapter's text stands for, without outputs, and with the cell that installs the package.

    Raises:
        BookError: it cannot be read, or _config.yml names no repository.
    """
    try:
        notebook = jupytext.read(path, fmt="md:myst")
    except Exception as error:  # jupytext raises whatever its parsers raise
        raise BookError(f"{path}: {first_line(error)}") from None
    first = next((n for n, cell in enumerate(notebook.cells) if cell.cell_type == "code"), len(notebook.cells))
    setup = nbformat.v4.new_code_cell(SETUP.format(url=repository(path.parent.parent)))
    setup.metadata.tags = ["remove-cell"]  # the pages do not show it: their readers have nothing to install
    notebook.cells.insert(first, setup)
    for cell in filter(folds, code_cells(notebook)):
        cell.metadata["tags"] = [*cell.metadata.get("tags", ()), "hide-input"]
        cell.metadata["mystnb"] = cell.metadata.get("mystnb", {}) | FOLDED
    return clean(notebook)


FOLDED = {"code_prompt_show": "Show the code", "code_prompt_hide": "Hide the code"}


def folds(cell: NotebookNode) -> bool:
    """Whether the pages fold a cell's code away: what sets up and what plots does, what teaches stays open."""
    tags = cell.metadata.get("tags", ())
    if any(tag.startswith(("hide-", "remove-")) for tag in tags):
        return False
    lines = cell.source.splitlines()
    return "parameters" in tags or lines[0].startswith(("import ", "from ")) or lines[-1] == "figure"


def repository(root: Path) -> str:
    """The address of the repository, from the one line of _config.yml that names it.

    Raises:
        BookError: there is no such line.
    """
    try:
        return yaml.safe_load((root / "_config.yml").read_text())["repository"]["url"]
    except (OSError, KeyError, TypeError, yaml.YAMLError) as error:
        raise BookError(f"{root / '_config.yml'}: no repository with a url ({first_line(error)})") from None
