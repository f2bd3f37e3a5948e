"""What is written says what a complete book has, and where it is installed from."""

from pathlib import Path

import nbformat
import pytest
from small_book import PARAMETERS, TEXT, executed, lay_out

from book import ROOT, BookError
from book.checks import check
from book.notebooks import code_cells, read_notebook, seal_pictures
from book.texts import Contents, chapter_texts, contents, folds, read_text


def test_the_book_is_counted_from_its_texts(tmp_path: Path) -> None:
    root = lay_out(tmp_path, one=TEXT, two=PARAMETERS)
    assert contents(root) == Contents(pages=3, figures=1, cells={"one": 4, "two": 2})
    assert str(contents(root)) == "3 pages, 1 figures, 6 cells executed"


def test_the_first_cell_installs_from_the_one_line_that_names_the_repository(tmp_path: Path) -> None:
    root = lay_out(tmp_path, one=TEXT)
    nbformat.write(executed(tmp_path), root / "notebooks" / "one.ipynb")
    seal_pictures(root / "notebooks")
    first, second = [cell for cell in read_notebook(root / "notebooks" / "one.ipynb").cells if cell.source][1:3]
    assert "%pip install --quiet git+https://example.org/book" in first.source
    assert first.metadata.tags == ["remove-cell"]
    assert "parameters" in second.metadata.tags
    (root / "_config.yml").write_text("repository: { url: https://example.org/fork }\n")
    (problem,) = check(root)
    assert "cell 2 differs from the text in its source: run `make notebooks`" in problem
    (root / "_config.yml").write_text("title: no repository\n")
    with pytest.raises(BookError, match="no repository with a url"):
        check(root)


@pytest.mark.parametrize(
    ("source", "tags", "folded"),
    [
        ("import torch\nx = 1", [], True),
        ("profile = 'best'", ["parameters"], True),
        ("figure = figures.curves(pair)\nfigure", ["nbval-ignore-output"], True),
        ("block(x)", [], False),
        ("figure.series()", ["hide-cell"], False),
        ("from resnet_lib import drawings\ndrawings.options()", ["remove-input"], False),
    ],
)
def test_pages_fold_what_sets_up_and_what_plots(source: str, tags: list[str], folded: bool) -> None:
    assert folds(nbformat.v4.new_code_cell(source, metadata={"tags": tags})) is folded


MOST_COLUMNS = 84  # of code that a page shows: more is cut on a desktop
HIDDEN = {"hide-input", "hide-cell", "remove-input", "remove-cell"}


@pytest.mark.parametrize("text", chapter_texts(ROOT), ids=lambda text: text.stem)
def test_no_line_of_open_code_is_cut_on_a_page(text: Path) -> None:
    shown = (cell for cell in code_cells(read_text(text)) if not HIDDEN & set(cell.metadata.get("tags", ())))
    assert not [line for cell in shown for line in cell.source.splitlines() if len(line) > MOST_COLUMNS]
