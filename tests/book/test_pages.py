"""Pages show all that their notebooks hold, and lead to the repository that serves them."""

import re
import shutil
import subprocess
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError
from pathlib import Path

import nbformat
import pytest
from bs4 import BeautifulSoup
from docutils import nodes
from docutils.utils import new_document
from small_book import TEXT, executed, lay_out

from book import ROOT, BookError, builders, pages
from book.builders import jupyter_book, served_config, sphinx
from book.extensions import pictures
from book.notebooks import code_cells
from book.page_checks import page_problems
from book.pages import MATHJAX_BUNDLE, PATCHES, UNUSED, differences, drop_unused, mend
from book.plain import conf
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
        ("<img", '<table class="dataframe"></table><img', "has a table that the keyboard cannot scroll"),
        ("<article>", '<b id="a"></b><b id="a"></b><article>', "has the id a more than once"),
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


# What makes the pages, and what is changed in them.


@pytest.mark.parametrize("found", ["2.1.5", None])
def test_another_version_of_jupyter_book_is_refused_in_one_line(
    found: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def version(name: str) -> str:
        if found is None:
            raise PackageNotFoundError(name)
        return found

    monkeypatch.setattr(builders, "version", version)
    with pytest.raises(BookError, match=f"^jupyter-book 1 makes the pages, and {found or 'none'} is installed: .*"):
        jupyter_book(lay_out(tmp_path, one=TEXT), tmp_path, "html")


@pytest.mark.parametrize("make", [jupyter_book, sphinx])
def test_a_build_that_ends_well_without_a_page_is_refused(
    make: Callable[[Path, Path, str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(subprocess, "run", lambda command, **_: subprocess.CompletedProcess(command, 0, "fine\n"))
    with pytest.raises(BookError, match=r"^(sphinx|jupyter-book) made no page; what it said stands above$"):
        make(lay_out(tmp_path, one=TEXT), tmp_path, "html")


def test_conf_py_is_what_config_yml_gives() -> None:
    assert (ROOT / "conf.py").read_text() == conf(ROOT), "run `make conf`"


def test_pages_that_differ_or_are_in_one_folder_only_are_named(site: tuple[Path, Path], tmp_path: Path) -> None:
    _, one = site
    other = shutil.copytree(one, tmp_path / "other")
    page = other / "notebooks" / "one.html"
    page.write_text(page.read_text().replace("<article>", "<footer>another</footer><article>"))
    assert differences(one, other) == []
    page.write_text(page.read_text().replace("A red dot.", "A green dot."))
    (other / "intro.html").rename(other / "outro.html")
    assert differences(one, other) == [
        f"intro.html is in {one} only",
        f"outro.html is in {other} only",
        "notebooks/one.html differs",
    ]


@pytest.fixture
def themed(tmp_path: Path) -> Path:
    """A build with all that is dropped or changed."""
    for name in (MATHJAX_BUNDLE, *(pattern.replace("*", "x") for pattern in UNUSED)):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "one.html").write_text(
        '<script defer src="_static/scripts/fontawesome.js?digest=1"></script>\n'
        '<div id="pst-primary-sidebar" class="bd-sidebar-primary bd-sidebar"></div>\n'
    )
    (tmp_path / "two.html").write_text('<div role="list"><div class="citation" role="doc-biblioentry"></div></div>')
    return tmp_path


def test_pages_are_mended_and_lose_what_they_do_not_use(themed: Path) -> None:
    drop_unused(themed)
    mend(themed)
    assert [str(path.relative_to(themed)) for path in (themed / "_static").rglob("*.*")] == [MATHJAX_BUNDLE]
    assert "fontawesome" not in (text := (themed / "one.html").read_text())
    assert BeautifulSoup(text, "html.parser").select_one(".bd-sidebar")["role"] == "complementary"
    assert BeautifulSoup((themed / "two.html").read_text(), "html.parser").select_one(".citation")["role"] == "listitem"


@pytest.mark.parametrize("patch", PATCHES, ids=lambda patch: patch.what)
def test_a_theme_that_writes_something_else_is_told(patch: pages.Patch, themed: Path) -> None:
    for page in themed.glob("*.html"):
        page.write_text(re.sub(patch.pattern, "", page.read_text()))
    with pytest.raises(BookError, match=f"^the theme has changed: no page has {patch.what} as it was"):
        mend(themed)


@pytest.mark.parametrize("name", [MATHJAX_BUNDLE, *UNUSED])
def test_a_theme_without_what_was_to_be_dropped_or_kept_is_told(name: str, themed: Path) -> None:
    (themed / name.replace("*", "x")).unlink()
    with pytest.raises(BookError, match=f"^the build has no {re.escape(name)}, "):
        drop_unused(themed)
