"""The PDF replaces an older one whole or not at all, and a missing browser is said in one line."""

from pathlib import Path

import pytest
from playwright.sync_api import Error

from book import BookError, pdf


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository whose single page is made without jupyter-book."""
    (tmp_path / "_toc.yml").write_text("format: jb-book\nroot: notebooks/first.ipynb\n")

    def made(_root: Path, folder: Path, builder: str) -> Path:
        page = folder / "_build" / builder / "notebooks" / "first.html"
        page.parent.mkdir(parents=True)
        page.write_text("<title>Book</title>")
        return page.parent.parent

    monkeypatch.setattr(pdf, "jupyter_book", made)
    monkeypatch.setattr(pdf, "chromium", lambda: "chromium")
    return tmp_path


def test_the_page_is_printed_from_where_its_pictures_are(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []

    def print_page(_browser: str, page: Path, target: Path) -> None:
        seen.append(str(page.relative_to(page.parents[2])))
        target.write_bytes(b"%PDF")

    monkeypatch.setattr(pdf, "print_page", print_page)
    pdf.pdf(root, root / "build" / "book.pdf")
    assert seen == ["_build/singlehtml/book.html"]
    assert (root / "build" / "book.pdf").read_bytes() == b"%PDF"
    assert [path.name for path in (root / "build").iterdir()] == ["book.pdf"]


def test_a_browser_that_fails_leaves_the_old_file(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def print_page(_browser: str, _page: Path, target: Path) -> None:
        target.write_bytes(b"half")
        raise Error("it crashed\nat length")

    monkeypatch.setattr(pdf, "print_page", print_page)
    (root / "build").mkdir()
    (root / "build" / "book.pdf").write_bytes(b"old")
    with pytest.raises(BookError, match=r"chromium did not print the book: Error: it crashed$"):
        pdf.pdf(root, root / "build" / "book.pdf")
    assert (root / "build" / "book.pdf").read_bytes() == b"old"


def test_without_a_browser_one_line_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    monkeypatch.delenv("CHROMIUM", raising=False)
    with pytest.raises(BookError, match="no chromium on this machine: install chromium, or name"):
        pdf.chromium()
    monkeypatch.setenv("CHROMIUM", "/nowhere/chrome")
    with pytest.raises(BookError, match="no /nowhere/chrome on this machine"):
        pdf.chromium()
