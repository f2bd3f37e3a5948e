"""What a teacher needs to know of the chapters, from their texts: a Sphinx extension with three directives.

`chapter-times` lists how long each takes, `paper-map` says where each part of the paper is, `lab-links` leads to the
lab. What a chapter is about, it says itself: in the table of what is tested, in the sources of its claims, and in the
captions that name a figure or table as the paper's.
"""

import re
from collections.abc import Iterator
from html import escape
from math import ceil
from pathlib import Path
from urllib.parse import urlsplit

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from book.extensions.chapters import numbered
from book.texts import chapter_texts, toc_pages
from resnet_lib.evidence.claims import CLAIMS
from resnet_lib.evidence.facts import FACTS

COLAB = "https://colab.research.google.com/github"
WORDS, EXERCISE = 200, 5  # read in a minute; minutes for an exercise
PARTS = (
    *(f"section {number}" for number in ("1", "2", "3.1", "3.2", "3.3", "3.4", "4.1", "4.2", "4.3")),
    *(f"Figure {number}" for number in range(1, 8)),
    *(f"Table {number}" for number in range(1, 9)),
)
"""The paper's, up to its appendices."""
NAMED = re.compile(r"([Ss]ections?|Figures?|Tables?) (\d(?:\.\d)?(?:(?:, | and | to )\d(?:\.\d)?)*)")
OF_THE_PAPER = re.compile(r"\b(?:Figure|Table) \d(?=(?: \([\w ,]+\))? of the paper)|(?<=the paper's )Figure \d")
OTHERS = re.compile(r"et al|follow-up|\d{4}\.\d{5}")  # a source that is another paper
CODE = re.compile(r"^```\{code-cell.*?^```$", re.DOTALL | re.MULTILINE)


def minutes(text: str) -> int:
    """How long a chapter takes to read, with its exercises, in steps of five minutes; cells are not read out."""
    words = len(CODE.sub("", text).split())
    return 5 * ceil((words / WORDS + EXERCISE * text.count(":::{exercise}")) / 5)


def named(source: str) -> Iterator[str]:
    """The paper's parts that a source names, such as "paper, sections 4.1 and 4.2, Table 3; reading note 1"."""
    for one in source.split(";"):
        for kind, numbers in () if OTHERS.search(one) else NAMED.findall(one):
            kind, found = kind.removesuffix("s"), re.findall(r"\d(?:\.\d)?", numbers)
            if " to " in numbers:
                found = [str(number) for number in range(int(found[0]), int(found[-1]) + 1)]
            yield from (f"{kind.lower() if kind.endswith('ection') else kind} {number}" for number in found)


def treated(name: str, text: str) -> set[str]:
    """The parts of the paper that a chapter is about."""
    rows = re.findall(r"^\|.*\| ([^|]*\bpaper,[^|]*) \|$", text, re.MULTILINE)
    captions = re.findall(r"^    caption: (.*)$", text, re.MULTILINE)
    sources = [entry.source for entry in (*CLAIMS.values(), *FACTS.values()) if entry.chapter == name]
    found = [*rows, *sources, *(part for caption in captions for part in OF_THE_PAPER.findall(caption))]
    return {part for source in found for part in named(source)} & set(PARTS)


def chapters(root: Path) -> dict[int, tuple[str, str]]:
    """Number -> name and text of each numbered chapter of the book."""
    texts = {path.stem: path.read_text(encoding="utf-8") for path in chapter_texts(root)}
    pages = numbered(toc_pages(root))
    return {number: (name, texts[name]) for number in sorted(pages) if number and (name := Path(pages[number]).name)}


def times(root: Path) -> list[list[str]]:
    """A row for each chapter: what it is called, how long it takes, how many exercises it has."""
    rows = []
    for number, (name, text) in chapters(root).items():
        title = re.search(r"^# (.*)$", text, re.MULTILINE)[1]
        link = f"{number} [{title}](/notebooks/{name}.ipynb)"
        rows.append([link, f"{minutes(text)}", f"{text.count(':::{exercise}')}"])
    return rows


def places(root: Path) -> list[list[str]]:
    """A row for each part of the paper: the chapters about it."""
    about = {number: treated(name, text) for number, (name, text) in chapters(root).items()}
    found = {part: [f"chapter {number}" for number in about if part in about[number]] for part in PARTS}
    return [[part[0].upper() + part[1:], ", ".join(where) or "not in this book"] for part, where in found.items()]


def markdown(heads: list[str], rows: list[list[str]]) -> str:
    """A table."""
    return "\n".join(f"| {' | '.join(row)} |" for row in (heads, ["---"] * len(heads), *rows))


class ChapterTimes(SphinxDirective):
    """The chapters, with the minutes that each takes."""

    def run(self) -> list[nodes.Node]:
        """Called by docutils."""
        return self.parse_text_to_nodes(markdown(["chapter", "minutes", "exercises"], times(Path(self.env.srcdir))))


class PaperMap(SphinxDirective):
    """The parts of the paper, with the chapters about each."""

    def run(self) -> list[nodes.Node]:
        """Called by docutils."""
        return self.parse_text_to_nodes(markdown(["the paper's", "where"], places(Path(self.env.srcdir))))


class LabLinks(SphinxDirective):
    """The lab on Colab, the same as a file, and its solutions; `book.classroom` puts the files there."""

    def run(self) -> list[nodes.Node]:
        """Called by docutils."""
        theme = self.config.html_theme_options
        slug = urlsplit(theme["repository_url"]).path
        colab = f"{COLAB}{slug}/blob/{theme['repository_branch']}/teaching/lab.ipynb"
        links = {"On Colab": colab, "As a notebook": "../teaching/lab.ipynb"}
        links["Its solutions"] = "../teaching/lab_solutions.ipynb"
        items = "".join(f'<li><a href="{escape(address)}">{name}</a></li>' for name, address in links.items())
        return [nodes.raw("", f"<ul>{items}</ul>", format="html")]


def setup(app: Sphinx) -> dict[str, bool]:
    """Called by Sphinx."""
    app.add_directive("chapter-times", ChapterTimes)
    app.add_directive("paper-map", PaperMap)
    app.add_directive("lab-links", LabLinks)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
