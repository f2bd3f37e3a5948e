"""Pages show all that their notebooks hold, and lead to the repository that serves them."""

from pathlib import Path

import nbformat
import pytest
from small_book import TEXT, executed, lay_out

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


def test_missing_and_stray_pages_are_told(site: tuple[Path, Path]) -> None:
    root, pages = site
    (pages / "intro.html").rename(pages / "other.html")
    assert page_problems(root, pages) == [
        "_toc.yml lists intro, which was not built",
        "other was built, but is not in _toc.yml",
    ]
