"""Whether the built pages lead to the runs behind what they show, and the pages of runs to all the records."""

import re
from collections.abc import Iterator, Sequence
from itertools import takewhile
from pathlib import Path

from bs4 import BeautifulSoup, Tag
from nbformat import NotebookNode

from book.extensions.run_pages import FOLDER, LINE, is_run
from book.notebooks import is_image


def listed_runs(pages: Path) -> dict[str, set[str]]:
    """Name of each page of runs in the built book -> digests of the runs that it lists."""
    found = {page.stem: re.findall(r'<tr id="run-(\w+)"', page.read_text()) for page in (pages / FOLDER).glob("*.html")}
    return {name: set(digests) for name, digests in found.items()}


def run_problems(pages: Path, folder: Path) -> list[str]:
    """Records of a folder that no page of the built book lists, and files that such a page leads to in vain."""
    digests = set().union(*listed_runs(pages).values())
    names = (path.stem for path in sorted(folder.rglob("*.json")) if is_run(path))
    found = [f"no page lists the run {name}" for name in names if name.rpartition("_")[2] not in digests]
    for page in sorted((pages / FOLDER).glob("*.html")):
        soup = BeautifulSoup(page.read_text(encoding="utf-8"), "html.parser")
        found += [f"{FOLDER}/{page.stem}: {problem}" for problem in dead_links(page, soup)]
    return found


def dead_links(path: Path, page: BeautifulSoup) -> Iterator[str]:
    """Links of a page's text to files that are not in the build."""
    for address in dict.fromkeys(link["href"].partition("#")[0] for link in page.select("article a[href]")):
        if not re.match(r"\w+:", address) and not (path.parent / address).exists():
            yield f"its link {address} leads nowhere"


def link_problems(cells: Sequence[NotebookNode], page: BeautifulSoup, pages: dict[str, set[str]]) -> Iterator[str]:
    """Runs that a notebook's outputs name and the page does not lead to, and numbers of runs that name none.

    A figure names the runs that the table of its numbers names, which stands behind it and before the next figure.

    Args:
        cells: the code cells of an executed notebook.
        page: made of it.
        pages: see `listed_runs`.
    """
    shown = [cell for cell in cells if "remove-cell" not in tags(cell)]
    places = page.select("div.cell")
    for number, (cell, place) in enumerate(zip(shown, places, strict=False)):
        figure, table = any(map(is_image, cell.outputs)), told(cell)
        if "remove-output" in tags(cell) or not (figure or table):
            continue
        named, found = lines(table), lines(place, LINKED)
        if figure:
            behind = takewhile(lambda cell: not any(map(is_image, cell.outputs)), shown[number + 1 :])
            named |= next((lines(told(cell)) for cell in behind if ".series()" in cell.source), set())
        last = cell.source.splitlines()[-1]
        if named - found:
            yield f"does not lead to the runs behind what this shows: {last}"
        elif READS.search(cell.source) and not named:
            yield f"takes numbers from records and does not say which runs they are: {last}"
    for link in page.select("p.runs a"):
        name = Path(link["href"]).stem
        if missing := set(link["data-runs"].split()) - pages.get(name, set()):
            yield f"its link {link['href']} leads to no list of {len(missing)} of the runs meant"


LINKED = "p.runs:not(:has(span))"  # a line of runs whose words have become links
READS = re.compile(r"\.(final|probes|train_curve|test_curve)\b")  # what only a record has


def tags(cell: NotebookNode) -> list[str]:
    """The tags of a cell."""
    return cell.metadata.get("tags", [])


def told(cell: NotebookNode) -> BeautifulSoup | None:
    """What an executed cell shows as HTML, if there is a table or a line of runs in it."""
    html = "".join(output.get("data", {}).get("text/html", "") for output in cell.outputs)
    return BeautifulSoup(html, "html.parser") if "<table" in html or LINE.search(html) else None


def lines(html: Tag | None, which: str = "p.runs") -> set[str]:
    """The lines of runs in it, as they read."""
    return {line.text for line in html.select(which)} if html else set()
