"""What a reader of the built pages would miss: a page, a figure, an alternative text, the runs behind a number."""

import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from bs4 import BeautifulSoup
from nbformat import NotebookNode

from book import classroom
from book.checks import alt_problem
from book.extensions.chapters import NAMED, NUMBERED
from book.extensions.run_pages import FOLDER
from book.notebooks import code_cells, is_image, read_notebook
from book.run_links import dead_links, link_problems, listed_runs, run_problems
from book.texts import toc_pages
from book.translations import catalogues, folder_of, tag


def page_problems(root: Path, pages: Path) -> list[str]:
    """What a reader would miss: a page, a figure, an alternative text, or what only a network has."""
    listed = set(toc_pages(root))
    built = {str(path.relative_to(pages).with_suffix("")) for path in pages.rglob("*.html")}
    built -= {"index", "genindex", "search"}  # Sphinx's own, as are those in folders like _static
    built = {name for name in built if not name.startswith(("_", f"{FOLDER}/", f"{classroom.FOLDER}/"))}
    languages = catalogues(root)
    due = {f"{folder_of(language)}/{page}": page for language, those in languages.items() for page in those}
    problems = [f"{name} has a catalogue and was not built" for name in sorted(due.keys() - built)]
    built -= {name for name in built if name.startswith(tuple(f"{folder_of(language)}/" for language in languages))}
    problems += [f"_toc.yml lists {name}, which was not built" for name in sorted(listed - built)]
    problems += [f"{name} was built, but is not in _toc.yml" for name in sorted(built - listed)]
    problems += run_problems(pages, root / "resnet_lib" / "records")
    runs = listed_runs(pages)
    for name, source in [*((name, name) for name in sorted(built & listed)), *sorted(due.items())]:
        if not (page := pages / f"{name}.html").is_file():
            continue
        soup = BeautifulSoup(page.read_text(encoding="utf-8"), "html.parser")
        found = [*image_problems(page, soup), *offline_problems(soup)]
        found += (lost_addresses if name in due else dead_links)(page, soup)
        found += [*number_problems(source, soup), *unlinked_chapters(soup), *markup_problems(soup)]
        tags = {"en", *(tag(language) for language, those in languages.items() if source in those)}
        found += switch_problems(page, soup, tags)
        notebook = root / f"{source}.ipynb"
        if notebook.exists():
            executed = read_notebook(notebook)
            found += [*figure_problems(executed, soup), *shown_problems(executed, soup)]
            found += link_problems(code_cells(executed), soup, runs)
        problems += [f"{name}: {problem}" for problem in found]
    return problems


def lost_addresses(path: Path, page: BeautifulSoup) -> Iterator[str]:
    """What a translated page, whose addresses were changed, leads to or loads in vain."""
    for part in page.select("[href], [src], [action]"):
        address = next(part[name] for name in ("href", "src", "action") if name in part.attrs)
        file, _, place = address.partition("#")
        file = path.parent / file.partition("?")[0] if file else path
        if re.match(r"\w+:", address) or address == "#":
            continue
        if not file.is_file():
            yield f"its address {address} leads nowhere"
        elif place and f'id="{place}"' not in file.read_text(encoding="utf-8"):
            yield f"its address {address} leads to no place on that page"


def switch_problems(path: Path, page: BeautifulSoup, languages: set[str]) -> Iterator[str]:
    """Whether a page leads to itself in each of its other languages."""
    links = {link["hreflang"]: link["href"] for link in page.select("a.language")}
    own = page.html["lang"] if page.html else "en"
    if links.keys() != languages - {own}:
        yield f"leads to itself in {sorted(links)}, not in {sorted(languages - {own})}"
    for address in links.values():
        if not (path.parent / address).is_file():
            yield f"its address {address} leads nowhere"


def figure_problems(notebook: NotebookNode, page: BeautifulSoup) -> Iterator[str]:
    """Whether the page shows every image of its notebook's outputs."""
    hidden = {"remove-output", "remove-cell"}
    showing = [cell for cell in code_cells(notebook) if not hidden & set(cell.metadata.get("tags", []))]
    due = sum(is_image(output) for cell in showing for output in cell.outputs)
    shown = len(page.select(".cell_output img, .cell_output .picture"))
    if shown != due:
        yield f"shows {shown} figures of the {due} in its notebook"


def shown_problems(notebook: NotebookNode, page: BeautifulSoup) -> Iterator[str]:
    """Whether the page has every code cell of its notebook that is not removed from pages."""
    due = sum("remove-cell" not in cell.metadata.get("tags", []) for cell in code_cells(notebook))
    shown = len(page.select("div.cell"))
    if shown != due:
        yield f"shows {shown} cells of the {due} in its notebook"


def number_problems(name: str, page: BeautifulSoup) -> Iterator[str]:
    """Whether a chapter's number is that of its file, which is what other chapters call it."""
    if (found := NUMBERED.match(name)) and (due := int(found[1])):  # the first page, 00, has none
        shown = page.select_one("h1 .section-number")
        if shown is None or shown.text.strip(" .\N{NO-BREAK SPACE}") != str(due):
            yield f"has the number {shown.text.strip() if shown else 'none'}, and its file has {due}"


def markup_problems(page: BeautifulSoup) -> Iterator[str]:
    """What our extensions mend in what others write, and would miss without a word if those wrote it differently."""
    for table in page.select(".cell_output table.dataframe"):
        if not table.find_parent(tabindex="0") and not (table.find_parent(class_="output") or table).find("a"):
            yield "has a table that the keyboard cannot scroll: see extensions/numbered_tables.py"
    repeated = [name for name, times in Counter(part["id"] for part in page.select("[id]")).items() if times > 1]
    if repeated:
        yield f"has the id {repeated[0]} more than once: see extensions/exercises.py"


def unlinked_chapters(page: BeautifulSoup) -> Iterator[str]:
    """Chapters that a text names by their numbers without a link."""
    for text in page.find_all(string=NAMED):
        if text.find_parent("article") and not text.find_parent(["a", "pre", "code", "script", "h1", "h2", "h3"]):
            yield f"names {NAMED.search(text)[0]} without a link"


def image_problems(path: Path, page: BeautifulSoup) -> Iterator[str]:
    """Images of the text that are not there or whose alternative text says nothing."""
    for image in page.select("article img"):
        if not (path.parent / image["src"]).is_file():
            yield f"its image {image['src']} is not in the build"
        if problem := alt_problem(image.get("alt")):
            yield f"the alt text of {image['src']} {problem}"
    for number, panels in enumerate(page.select("article .picture > .panels"), start=1):
        if problem := alt_problem(panels.get("aria-label")):
            yield f"the alt text of its drawn picture {number} {problem}"


def offline_problems(page: BeautifulSoup) -> Iterator[str]:
    """What the page would load from another host, and so lack when read from a folder."""
    loaded = page.select("script[src], img[src], iframe[src], link[rel~=stylesheet], link[rel~=preload]")
    for element in loaded:
        address = element.get("src") or element.get("href")
        if re.match(r"(https?:)?//", address):
            yield f"loads {address}"
