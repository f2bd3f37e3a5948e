"""Pages show all that their notebooks hold, and lead to the repository that serves them."""

from pathlib import Path

import nbformat
import pytest
from bs4 import BeautifulSoup
from docutils import nodes
from docutils.utils import new_document
from small_book import TEXT, executed, lay_out

from book.extensions import pictures
from book.notebooks import code_cells
from book.page_checks import page_problems
from book.pages import served_config
from book.texts import repository


def test_on_a_hosting_service_the_buttons_lead_to_its_repository(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = lay_out(tmp_path, one=TEXT)
    assert "https://example.org/book" in served_config(root)
    monkeypatch.setenv("GITHUB_REPOSITORY", "me/mine")
    monkeypatch.setenv("GITHUB_SERVER_URL", "https://git.example")
    assert served_config(root) == "repository: { url: https://git.example/me/mine }\n"
    assert repository(root) == "https://example.org/book"  # which the committed notebooks go by


@pytest.fixture
def site(tmp_path: Path) -> tuple[Path, Path]:
    """A root with one executed chapter, and pages such as jupyter-book would make of it."""
    root = lay_out(tmp_path, one=TEXT)
    nbformat.write(executed(tmp_path), root / "notebooks" / "one.ipynb")
    pages = tmp_path / "html"
    for folder in ("notebooks", "_images", "_static"):
        (pages / folder).mkdir(parents=True)
    (pages / "_images" / "dot.png").touch()
    (pages / "_static" / "part.html").touch()
    for name in ("index", "genindex", "search", "intro"):
        (pages / f"{name}.html").write_text('<script src="_static/x.js"></script>')
    (pages / "notebooks" / "one.html").write_text(
        '<article><div class="cell"></div><div class="cell"></div><div class="cell"><div class="cell_output">'
        '<img src="../_images/dot.png" alt="A red dot."></div></div></article>'
    )
    return root, pages


def test_whole_pages_have_no_problem(site: tuple[Path, Path]) -> None:
    assert page_problems(*site) == []


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("<img", "<b", "shows 0 figures of the 1 in its notebook"),
        ('<article><div class="cell">', "<article><div>", "shows 2 cells of the 3 in its notebook"),
        ("dot.png", "gone.png", "its image ../_images/gone.png is not in the build"),
        ("A red dot.", "../_images/dot.png", "the alt text of ../_images/dot.png is a file name"),
        (
            "<article>",
            '<script src="https://cdn.example/x.js"></script><article>',
            "loads https://cdn.example/x.js",
        ),
        ("<article>", '<link rel="stylesheet" href="//fonts.example/x"><article>', "loads //fonts.example/x"),
    ],
)
def test_a_damaged_page_is_told(site: tuple[Path, Path], old: str, new: str, problem: str) -> None:
    root, pages = site
    page = pages / "notebooks" / "one.html"
    page.write_text(page.read_text().replace(old, new))
    (found,) = page_problems(root, pages)
    assert problem in found


def test_a_drawn_picture_counts_as_one_and_needs_an_alternative_text(site: tuple[Path, Path]) -> None:
    root, pages = site
    notebook = executed(root / "again")
    code_cells(notebook)[-1].outputs[0].data = {"text/html": '<div class="picture"></div>', "text/plain": "<Figure>"}
    nbformat.write(notebook, root / "notebooks" / "one.ipynb")
    page = pages / "notebooks" / "one.html"
    image = '<img src="../_images/dot.png" alt="A red dot.">'
    drawn = '<div class="picture"><div class="panels" role="img" aria-label="A red dot."></div></div>'
    page.write_text(page.read_text().replace(image, drawn))
    assert page_problems(root, pages) == []
    page.write_text(page.read_text().replace(' aria-label="A red dot."', ""))
    assert page_problems(root, pages) == ["notebooks/one: the alt text of its drawn picture 1 is missing"]
    page.write_text(page.read_text().replace(' class="picture"', ""))
    assert page_problems(root, pages) == ["notebooks/one: shows 0 figures of the 1 in its notebook"]


def test_missing_and_stray_pages_are_told(site: tuple[Path, Path]) -> None:
    root, pages = site
    (pages / "intro.html").rename(pages / "other.html")
    assert page_problems(root, pages) == [
        "_toc.yml lists intro, which was not built",
        "other was built, but is not in _toc.yml",
    ]


def test_a_picture_gets_the_alternative_text_of_its_cell() -> None:
    html = '<div class="picture">\n<div class="panels" style="x"></div>\n</div>'
    cells = [
        nodes.container("", nodes.raw("", html, format="html"), cell_metadata=metadata)
        for metadata in ({"mystnb": {"image": {"alt": 'Red & "round",\nin the middle.'}}}, {})
    ]
    document = new_document("page")
    document += cells
    pictures.describe(None, document, "page")
    described, bare = (BeautifulSoup(cell.astext(), "html.parser").select_one(".panels") for cell in cells)
    assert (described["role"], described["aria-label"]) == ("img", 'Red & "round", in the middle.')
    assert bare.attrs == {"class": ["panels"], "style": "x"}
