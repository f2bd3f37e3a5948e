"""What the book says of how to cite it agrees with CITATION.cff, and its bibliography with its texts."""

import re

import yaml
from pybtex.database import BibliographyData, parse_file, parse_string

import book

CFF = yaml.safe_load((book.ROOT / "CITATION.cff").read_text())
REFERENCES = book.ROOT / "book" / "references.bib"


def on_the_page() -> BibliographyData:
    (block,) = re.findall(r"```bibtex\n(.*?)```", (book.ROOT / "book" / "references.md").read_text(), re.DOTALL)
    return parse_string(block, "bibtex")


def test_the_page_cites_the_book_as_the_file_for_programs_does() -> None:
    (entry,) = on_the_page().entries.values()
    assert entry.fields["title"] == CFF["title"]
    assert entry.fields["version"] == CFF["version"]
    authors = [str(person).replace("\\_", "_").strip("{}") for person in entry.persons["author"]]
    assert authors == [author["name"] for author in CFF["authors"]]


def test_the_version_is_the_packages() -> None:
    (version,) = re.findall(r'^version = "(.*)"', (book.ROOT / "pyproject.toml").read_text(), re.MULTILINE)
    assert CFF["version"] == version


def test_the_paper_is_the_same_in_both() -> None:
    (paper,) = CFF["references"]
    entry = parse_file(REFERENCES).entries["he2016deep"]
    assert entry.fields["title"].lower() == paper["title"].lower()
    assert entry.fields["doi"] == paper["doi"]
    assert entry.fields["pages"] == f"{paper['start']}--{paper['end']}"
    assert [person.last_names for person in entry.persons["author"]] == [[a["family-names"]] for a in paper["authors"]]


def test_everything_listed_is_cited_somewhere() -> None:
    texts = [*(book.ROOT / "chapters").glob("*.md"), *(book.ROOT / "book").glob("*.md")]
    cited = {key for text in texts for key in re.findall(r"{cite}`([^`]+)`", text.read_text())}
    assert set(parse_file(REFERENCES).entries) == cited
