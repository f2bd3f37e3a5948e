"""A translated page says what its source says today, and what it leads to is there."""

import io
import shutil
from collections.abc import Callable
from pathlib import Path

import nbformat
import pytest
from babel.messages.catalog import Catalog
from babel.messages.pofile import write_po
from bs4 import BeautifulSoup
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from sphinx import locale
from sphinx.application import Sphinx
from sphinx.util.docutils import docutils_namespace

from book import ROOT, BookError
from book.extensions.languages import lags
from book.page_checks import lost_addresses, switch_problems
from book.translations import beside, catalogues, compiled, read, translated, update

CATALOGUES = [path for found in catalogues(ROOT).values() for path in found.values()]
PAGE, CHANGED = "notebooks/14_reading_notes", "Write down one thing"


# -------------------------------------------------------------------------------------------------------- this book


def test_the_first_page_the_essay_and_the_reading_notes_are_in_chinese() -> None:
    assert catalogues(ROOT)["zh_TW"].keys() >= {"notebooks/00_measured", "notebooks/00_five_things", PAGE}


@pytest.mark.parametrize("path", CATALOGUES, ids=lambda path: path.stem)
def test_each_message_is_translated_and_none_by_a_guess(path: Path) -> None:
    catalogue = read(path)
    assert [message.id for message in catalogue if message.id and message.id not in translated(catalogue)] == []


def test_only_what_has_changed_is_to_be_translated(tmp_path: Path) -> None:
    """The catalogues have what the pages say today, and a sentence that is changed is named."""
    for path in ROOT.iterdir():
        if path.name in ("locale", "notebooks"):
            shutil.copytree(path, tmp_path / path.name)
        elif not path.name.startswith(".") and path.name not in ("build", "_build"):
            (tmp_path / path.name).symlink_to(path)
    notebook = tmp_path / f"{PAGE}.ipynb"
    text = notebook.read_text()
    assert CHANGED in text
    notebook.write_text(text.replace(CHANGED, "Note down one thing"))
    (message,) = update(tmp_path, "zh_TW")
    path = catalogues(tmp_path)["zh_TW"][PAGE]
    assert message.startswith(f"{path}: Note down one thing")
    ((old, kept),) = translated(read(catalogues(ROOT)["zh_TW"][PAGE])).items() - translated(read(path)).items()
    guess = read(path).get(old.replace(CHANGED, "Note down one thing"))
    assert guess.fuzzy and guess.string == kept  # there to be changed
    for name, others in catalogues(tmp_path)["zh_TW"].items():
        if name != PAGE:
            assert others.read_bytes() == catalogues(ROOT)["zh_TW"][name].read_bytes()


def test_a_page_that_is_not_in_the_book_is_refused() -> None:
    with pytest.raises(BookError, match=r"^_toc.yml lists no notebooks/99_none; a page's name is like notebooks/"):
        list(update(ROOT, "zh_TW", ["notebooks/99_none"]))


# ----------------------------------------------------------------------------------------------------- a small book

WORDS = {
    "First": "第一頁",
    "A sentence.": "一句話。",
    "More pages": "其他頁",
    "It holds.": "站得住腳。",
    "supported": "成立",
    "Red & round.": "又紅又圓。",
    "Show it": "顯示",
    "Hide it": "隱藏",
}
Build = Callable[[dict[str, str]], tuple[str, BeautifulSoup]]
PICTURE = '<div class="picture">\n<div class="panels"></div>\n</div>'


@pytest.fixture
def built(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Build:
    """Makes a book of two pages, of which the first is translated by a catalogue: what Sphinx said, and that page."""
    monkeypatch.setattr(locale, "translators", {})  # which Sphinx would keep for the next book

    def build(words: dict[str, str]) -> tuple[str, BeautifulSoup]:
        (tmp_path / "notebooks").mkdir()
        told = {"image": {"alt": "Red & round."}, "code_prompt_show": "Show it", "code_prompt_hide": "Hide it"}
        outputs = [
            new_output("display_data", {"text/markdown": "- It holds. *supported* on clothes: 1 (n=2)"}),
            new_output("display_data", {"text/html": PICTURE}),
        ]
        cell = new_code_cell("1", metadata={"tags": ["hide-input"], "mystnb": told}, outputs=outputs)
        first = new_notebook(cells=[new_markdown_cell("# First\n\nA sentence."), cell])
        first.metadata.language_info = {"name": "python", "pygments_lexer": "python"}
        nbformat.write(first, tmp_path / "notebooks" / "first.ipynb")
        second = new_notebook(cells=[new_markdown_cell("# Second\n\nIs {doc}`nowhere`.")])
        nbformat.write(second, tmp_path / "notebooks" / "second.ipynb")
        parts = "parts:\n  - caption: More pages\n    chapters:\n      - file: notebooks/second\n"
        (tmp_path / "_toc.yml").write_text(f"format: jb-book\nroot: notebooks/first\n{parts}")
        catalogue = Catalog(locale="zh_TW")
        for message, translation in words.items():
            catalogue.add(message, translation)
        path = tmp_path / "locale" / "zh_TW" / "LC_MESSAGES" / "notebooks" / "first.po"
        path.parent.mkdir(parents=True)
        with path.open("wb") as file:
            write_po(file, catalogue)
        others = ["sphinx_external_toc", "myst_nb", "sphinx_exercise", "book.extensions.pictures"]
        settings = {
            "extensions": [*others, "book.extensions.languages"],
            "nb_execution_mode": "off",
            "html_theme": "sphinx_book_theme",
            "gettext_compact": False,
            "language": "zh_TW",
            "locale_dirs": [str(compiled(tmp_path, "zh_TW", tmp_path / "compiled"))],
            "translated": ["notebooks/first"],
        }
        said, out = io.StringIO(), tmp_path / "out"
        with docutils_namespace():  # of a book of its own
            Sphinx(tmp_path, None, out, tmp_path / "doctrees", "html", settings, None, said).build()
        text = (out / "notebooks" / "first.html").read_text()
        return said.getvalue(), BeautifulSoup(text, "html.parser")

    return build


def test_all_that_a_page_says_is_translated_and_what_it_computed_is_not(built: Build) -> None:
    said, page = built(WORDS)
    assert not said  # nothing of the second page either, of which only the title is read
    assert (page.html["lang"], page.h1.contents[0]) == ("zh-TW", "第一頁")
    assert "一句話。" in page.article.text and "其他頁" in page.text
    line = page.select_one(".cell_output li")
    assert " ".join(line.text.split()) == "站得住腳。 成立 on clothes: 1 (n=2)"
    assert page.select_one(".cell_output")["lang"] == "en"
    assert [part.text for part in line.select("[lang=zh-TW]")] == ["站得住腳。", "成立"]
    assert page.select_one(".panels")["aria-label"] == "又紅又圓。"
    assert [part.text for part in page.select("summary p")] == ["顯示", "隱藏"]


def test_a_page_offers_its_other_languages(built: Build) -> None:
    _, page = built(WORDS)
    (link,) = page.select("a.language")
    assert (link["href"], link["lang"], link["hreflang"]) == ("../../notebooks/first.html", "en", "en")
    heads = {head["hreflang"]: head["href"] for head in page.select("link[rel=alternate]")}
    assert heads == {"en": "../notebooks/first.html", "zh-TW": "../zh-tw/notebooks/first.html"}


def test_a_page_that_says_something_else_than_its_catalogue_is_told(built: Build) -> None:
    words = {message: word for message, word in WORDS.items() if message != "A sentence."} | {"Another.": "另一句。"}
    said, _ = built(words)
    assert "notebooks/first: not translated, or it has changed: “A sentence.”. Run `make translations`" in said
    assert "notebooks/first: translated, but not said any more: “Another.”. Run `make translations`" in said


@pytest.mark.parametrize(
    ("said", "words", "told"),
    [
        (["one", "two", "one"], {"one": "一", "two": "二"}, []),
        (["one", "two"], {"one": "一"}, ["not translated"]),
        (["one"], {"one": "一", "two": "二"}, ["translated, but not said"]),
    ],
)
def test_page_and_catalogue_are_held_together(said: list[str], words: dict[str, str], told: list[str]) -> None:
    assert [lag.startswith(start) for lag, start in zip(lags(said, words), told, strict=True)] == [True] * len(told)


# ------------------------------------------------------------------------------------------------ where pages lead to


@pytest.mark.parametrize(
    ("address", "due"),
    [
        ("14_notes.html#s1", "14_notes.html#s1"),  # translated, too
        ("#s1", "#s1"),
        ("13_ledger.html", "../../notebooks/13_ledger.html"),
        ("../_static/custom.css?v=1", "../../_static/custom.css?v=1"),
        ("../book/references.html#id1", "../../book/references.html#id1"),
        ("../../notebooks/14_notes.html", "../../notebooks/14_notes.html"),  # leads out of the folder already
        ("https://example.org/a.html", "https://example.org/a.html"),
    ],
)
def test_a_translated_page_leads_to_what_is_not_translated_in_the_book_around_it(address: str, due: str) -> None:
    own = {"notebooks/00_first.html", "notebooks/14_notes.html"}
    page = beside(f'<html data-content_root="../"><a href="{address}"></a></html>', "notebooks/00_first.html", own)
    assert page == f'<html data-content_root="../../"><a href="{due}"></a></html>'


def test_addresses_that_lead_nowhere_are_told(tmp_path: Path) -> None:
    (tmp_path / "there.html").write_text('<p id="place"></p>')
    page = BeautifulSoup(
        '<link href="there.html?v=1"><a href="there.html#place"></a><a href="https://example.org"></a><a href="#"></a>'
        '<a href="there.html#gone"></a><script src="gone.js"></script>',
        "html.parser",
    )
    assert list(lost_addresses(tmp_path / "page.html", page)) == [
        "its address there.html#gone leads to no place on that page",
        "its address gone.js leads nowhere",
    ]


def test_a_page_without_a_way_to_its_other_language_is_told(tmp_path: Path) -> None:
    (tmp_path / "there.html").touch()
    html = '<html lang="en"><a class="language" hreflang="zh-TW" href="{}"></a></html>'
    path, both = tmp_path / "page.html", {"en", "zh-TW"}

    def problems(text: str, languages: set[str] = both) -> list[str]:
        return list(switch_problems(path, BeautifulSoup(text, "html.parser"), languages))

    assert problems(html.format("there.html")) == []
    assert problems(html.format("gone.html")) == ["its address gone.html leads nowhere"]
    assert problems('<html lang="en"></html>') == ["leads to itself in [], not in ['zh-TW']"]
    assert problems('<html lang="en"></html>', {"en"}) == []


@pytest.mark.parametrize(
    ("language", "page", "problem"),
    [
        ("xx", "notebooks/one", "does not say what xx is called"),
        ("zh_TW", "notebooks/two", "lists no page notebooks/two"),
    ],
)
def test_a_stray_catalogue_is_told(language: str, page: str, problem: str, tmp_path: Path) -> None:
    path = tmp_path / "locale" / language / "LC_MESSAGES" / f"{page}.po"
    path.parent.mkdir(parents=True)
    path.touch()
    (tmp_path / "_toc.yml").write_text("format: jb-book\nroot: notebooks/one\n")
    with pytest.raises(BookError, match=problem):
        catalogues(tmp_path)
