"""What the book refers to, and how to cite it: one source for each fact, and nothing cited that is not there."""

import re
from pathlib import Path
from types import SimpleNamespace

import pytest
from pybtex.database import Entry, parse_file, parse_string

from book import ROOT
from book.extensions.how_to_cite import HowToCite
from book.texts import chapter_texts

REFERENCES = parse_file(str(ROOT / "book" / "references.bib")).entries
TEXTS = [*chapter_texts(ROOT), *(ROOT / "book").glob("*.md")]
KEYS = [key for text in TEXTS for keys in re.findall(r"\{cite\}`([^`]+)`", text.read_text()) for key in keys.split(",")]


def facts(entry: Entry) -> dict[str, object]:
    return {
        "authors": [str(person) for person in entry.persons["author"]],
        "title": entry.fields["title"].lower().strip("{}"),
        **{name: entry.fields[name] for name in ("booktitle", "year", "pages", "doi", "url")},
    }


def cited(root: Path) -> tuple[list[str], str]:
    """What the directive shows: the works as text, and as BibTeX."""
    environment = SimpleNamespace(srcdir=root, note_dependency=lambda _path: None)
    config = SimpleNamespace(html_theme_options={"repository_url": "https://example.org/book"})
    works, bibtex = HowToCite.run(SimpleNamespace(env=environment, config=config))
    return [work.astext().replace("\N{NO-BREAK SPACE}", " ") for work in works], bibtex.astext()


def test_each_reference_is_cited_and_each_citation_is_there() -> None:
    assert set(KEYS) == set(REFERENCES)


def test_the_paper_is_the_same_in_both_places() -> None:
    paper = parse_string(cited(ROOT)[1], "bibtex").entries["he2016deep"]
    assert facts(paper) == facts(REFERENCES["he2016deep"])


def test_the_book_is_cited_as_citation_cff_has_it(tmp_path: Path) -> None:
    (tmp_path / "CITATION.cff").write_text(
        "title: A title of ResNet\nversion: 1.2\ndate-released: 2031-02-03\n"
        "authors:\n  - name: the a_b authors\nreferences:\n"
        "  - title: Deep things\n    authors:\n      - { family-names: Doe, given-names: Jo }\n"
        "      - { family-names: Roe, given-names: Al }\n      - { family-names: van Poe, given-names: Bo }\n"
        "    year: 2016\n    start: 1\n    end: 9\n    doi: 10.1/x\n    conference: { name: Conf }\n"
        "    url: https://example.org\n"
    )
    texts, bibtex = cited(tmp_path)
    assert texts == [
        "the a_b authors. A title of ResNet. 2031. Version 1.2. URL: https://example.org/book.",
        "Jo Doe, Al Roe, and Bo van Poe. Deep things. In Conf, 1–9. 2016. URL: https://example.org, doi:10.1/x.",
    ]
    mine, other = parse_string(bibtex, "bibtex").entries.items()
    assert mine[0] == "resnet_lib" and other[0] == "doe2016deep"
    assert (mine[1].type, mine[1].fields["title"]) == ("software", "{A title of ResNet}")  # braces keep its capitals
    assert [mine[1].fields[name] for name in ("year", "version", "url")] == ["2031", "1.2", "https://example.org/book"]
    assert [str(person) for person in mine[1].persons["author"]] == [r"{the a\_b authors}"]  # and a name in one piece
    assert (other[1].fields["pages"], other[1].fields["doi"]) == ("1--9", "10.1/x")


def test_the_version_is_the_packages() -> None:
    (version,) = re.findall(r'^version = "(.*)"', (ROOT / "pyproject.toml").read_text(), re.MULTILINE)
    assert f"Version {version}." in cited(ROOT)[0][0]


@pytest.mark.parametrize("text", TEXTS, ids=lambda path: path.stem)
def test_a_sentence_can_be_read_without_its_labels(text: Path) -> None:
    """A notebook on Colab shows the roles as they are written, so words have to stand before them."""
    for before in re.findall(r"(\S*)\s*\{cite\}`", text.read_text()):
        assert re.search(r"\w", before), f"nothing stands before a citation in {text.name}"
