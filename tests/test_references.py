"""What the book refers to, and how to cite it: one source for each fact, and nothing cited that is not there."""

import re
from pathlib import Path

import pytest
from bs4 import BeautifulSoup
from pybtex.database import Entry, parse_file, parse_string

import book
import how_to_cite

REFERENCES = parse_file(str(book.ROOT / "book" / "references.bib")).entries
TEXTS = [*book.chapter_texts(book.ROOT), *(book.ROOT / "book").glob("*.md")]
KEYS = [key for text in TEXTS for keys in re.findall(r"\{cite\}`([^`]+)`", text.read_text()) for key in keys.split(",")]


def facts(entry: Entry) -> dict[str, object]:
    return {
        "authors": [str(person) for person in entry.persons["author"]],
        "title": entry.fields["title"].lower(),
        **{name: entry.fields[name] for name in ("year", "pages", "doi", "url")},
    }


def test_each_reference_is_cited_and_each_citation_is_there() -> None:
    assert set(KEYS) == set(REFERENCES)


def test_the_paper_is_the_same_in_both_places() -> None:
    works = how_to_cite.works(book.ROOT)
    cited = parse_string(how_to_cite.bibtex("he2016deep", works["he2016deep"]), "bibtex").entries["he2016deep"]
    assert facts(cited) == facts(REFERENCES["he2016deep"])


def test_the_book_is_cited_as_citation_cff_has_it(tmp_path: Path) -> None:
    (tmp_path / "CITATION.cff").write_text(
        "title: A title\nversion: 1.2\nauthors:\n  - name: the a_b authors\nreferences:\n"
        "  - title: Deep things\n    authors:\n      - { family-names: Doe, given-names: Jo }\n"
        "      - { family-names: Roe, given-names: Al }\n      - { family-names: Poe, given-names: Bo }\n"
        "    year: 2016\n    start: 1\n    end: 9\n    doi: 10.1/x_y\n    conference: { name: Conf }\n"
        "    url: https://example.org\n"
    )
    works = how_to_cite.works(tmp_path)
    assert list(works) == ["resnet_lib", "doe2016deep"]
    mine, other = works.values()
    assert how_to_cite.plain(mine) == "the a_b authors. A title. Version 1.2."
    assert how_to_cite.plain(other) == "Jo Doe, Al Roe and Bo Poe. Deep things. In Conf, pages 1–9, 2016. doi:10.1/x_y."
    assert how_to_cite.bibtex("resnet_lib", mine).splitlines() == [
        "@software{resnet_lib,",
        r"  author = {{the a\_b authors}},",
        "  title = {A title},",
        "  version = {1.2},",
        "}",
    ]
    assert "  author = {Doe, Jo and Roe, Al and Poe, Bo}," in how_to_cite.bibtex("doe2016deep", other)
    assert "  doi = {10.1/x_y}," in how_to_cite.bibtex("doe2016deep", other)


def test_the_version_is_the_packages() -> None:
    (version,) = re.findall(r'^version = "(.*)"', (book.ROOT / "pyproject.toml").read_text(), re.MULTILINE)
    assert how_to_cite.works(book.ROOT)["resnet_lib"]["version"] == version


def test_references_are_items_of_their_list(tmp_path: Path) -> None:
    page = tmp_path / "book" / "references.html"
    page.parent.mkdir()
    page.write_text('<div role="list"><div class="citation" id="a" role="doc-biblioentry"></div></div>')
    book.name_roles(tmp_path)
    assert BeautifulSoup(page.read_text(), "html.parser").select_one(".citation")["role"] == "listitem"


@pytest.mark.parametrize("text", TEXTS, ids=lambda path: path.stem)
def test_a_sentence_can_be_read_without_its_labels(text: Path) -> None:
    """A notebook on Colab shows the roles as they are written, so words have to stand before them."""
    for before in re.findall(r"(\S*)\s*\{cite\}`", text.read_text()):
        assert re.search(r"\w", before), f"nothing stands before a citation in {text.name}"
