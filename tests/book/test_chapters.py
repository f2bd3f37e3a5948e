"""Chapters have the numbers of their files, and a text that names one by its number leads there."""

import re
from io import StringIO
from pathlib import Path

import pytest
from bs4 import BeautifulSoup
from sphinx.application import Sphinx
from sphinx.util.docutils import docutils_namespace
from sphinx_external_toc.parsing import parse_toc_yaml

from book import ROOT
from book.page_checks import number_problems, unlinked_chapters

ONE = """\
The chapter 2 problem
=====================

See chapter 2 and ``chapter 2``. In
Chapter
2 and `chapter 1 <https://example.org>`_, not in chapters of others.
"""
PAGES = {
    "index": "First\n=====\n\n.. toctree::\n   :numbered: 1\n\n   notebooks/01_one\n   notebooks/02_two\n",
    "notebooks/01_one": ONE,
    "notebooks/02_two": "Two\n===\n\nMore in chapters 1 and so on, and in chapter 7. 見第 1 章。\n",
}


def built(folder: Path, builder: str = "html") -> str:
    """Makes the pages of a small book in `folder`/out; returns what Sphinx said."""
    for name, text in PAGES.items():
        path = folder / f"{name}.rst"
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    said = StringIO()
    settings = {"extensions": ["book.extensions.chapters"]}
    with docutils_namespace():  # of a book of its own
        Sphinx(folder, None, folder / "out", folder / "out", builder, settings, said, said).build()
    return said.getvalue()


def links(page: Path) -> list[tuple[str, str]]:
    found = BeautifulSoup(page.read_text(), "html.parser").select("p > a")
    return [(" ".join(link.text.split()), link["href"]) for link in found]


def test_a_chapter_named_by_its_number_is_a_link_to_it(tmp_path: Path) -> None:
    said = built(tmp_path)
    assert links(tmp_path / "out" / "notebooks" / "01_one.html") == [
        ("chapter 2", "02_two.html"),
        ("Chapter 2", "02_two.html"),
        ("chapter 1", "https://example.org"),
    ]
    assert links(tmp_path / "out" / "notebooks" / "02_two.html") == [
        ("chapters 1", "01_one.html"),
        ("第 1 章", "01_one.html"),
    ]
    assert "notebooks/02_two: there is no chapter 7" in said


def test_the_single_page_of_the_pdf_has_these_links_too(tmp_path: Path) -> None:
    built(tmp_path, "singlehtml")
    (address,) = {to for text, to in links(tmp_path / "out" / "index.html") if text.lower() == "chapter 2"}
    assert address.endswith("#document-notebooks/02_two")


@pytest.mark.parametrize(
    ("page", "problems"),
    [
        ('<h1><span class="section-number">4. </span>Shortcuts</h1><a>chapter 4</a> <code>chapter 4</code>', []),
        ("<h1>Shortcuts</h1>", ["has the number none, and its file has 4"]),
        ('<h1><span class="section-number">5. </span></h1>', ["has the number 5., and its file has 4"]),
        (
            '<h1><span class="section-number">4. </span></h1><p>as chapter 4 says</p>',
            ["names chapter 4 without a link"],
        ),
    ],
)
def test_a_page_with_another_number_or_a_chapter_without_a_link_is_told(page: str, problems: list[str]) -> None:
    soup = BeautifulSoup(f"<article>{page}</article>", "html.parser")
    assert [*number_problems("notebooks/04_shortcuts", soup), *unlinked_chapters(soup)] == problems


def test_the_first_page_and_the_pages_behind_the_chapters_need_no_number() -> None:
    soup = BeautifulSoup("<article><h1>Words</h1></article>", "html.parser")
    assert not [*number_problems("notebooks/00_measured", soup), *number_problems("book/glossary", soup)]


def test_chapters_are_numbered_in_the_order_of_the_contents() -> None:
    contents = parse_toc_yaml(ROOT / "_toc.yml")
    numbered = [name for tree in contents[contents.root.docname].subtrees if tree.numbered for name in tree.files()]
    assert [int(re.match(r"notebooks/(\d\d)_", name)[1]) for name in numbered] == list(range(1, len(numbered) + 1))
    assert all(name in numbered for name in contents if re.match(r"notebooks/(?!00)", name))
