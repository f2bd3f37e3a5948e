"""A page says what it is to who links to it, and names nothing that a reader's browser would fetch."""

import pytest
from bs4 import BeautifulSoup
from docutils import nodes
from docutils.utils import new_document

from book.extensions.page_heads import LONGEST, description, published_at, tags


@pytest.mark.parametrize(
    ("repository", "address"),
    [
        ("https://github.com/Me/my-book", "https://me.github.io/my-book/"),
        ("https://github.com/me/my-book/", "https://me.github.io/my-book/"),
        ("https://git.example/me/my-book", None),
        ("", None),
    ],
)
def test_pages_are_where_their_host_puts_them(repository: str, address: str | None) -> None:
    assert published_at(repository) == address


def test_a_page_is_described_by_its_first_paragraph() -> None:
    page = new_document("page")
    section = nodes.section(
        "", nodes.title("", "Title"), nodes.paragraph("", "Words and\nmore."), nodes.paragraph("", "x")
    )
    page += [nodes.paragraph("", "in no section"), section]
    assert description(page) == "Words and more."
    section.children[1].children = [nodes.Text("word, " * 100)]
    cut = description(page)
    assert LONGEST - 10 < len(cut) <= LONGEST + 1 and cut.endswith("word …")
    assert description(new_document("empty")) == ""


def test_heads_hold_what_they_say_and_load_nothing() -> None:
    head = BeautifulSoup(
        tags('A "title" & more', "The book", "About it", "https://me.github.io/b/", "notebooks/01"), "html.parser"
    )
    said = {tag.get("property") or tag["name"]: tag["content"] for tag in head("meta")}
    assert said["og:title"] == 'A "title" & more'
    assert said["description"] == said["og:description"] == "About it"
    assert said["og:url"] == "https://me.github.io/b/notebooks/01.html"
    assert said["og:image"] == "https://me.github.io/b/_static/social.png"
    assert {tag.name for tag in head.find_all()} == {"meta"}
    elsewhere = tags("t", "The book", "", None, "p")
    assert "og:image" not in elsewhere and "description" not in elsewhere
