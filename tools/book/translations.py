"""The book in other languages, by the catalogues in locale/: a page that has one is translated, and no other.

A catalogue has each paragraph of a page with its translation, as gettext keeps them. Sphinx makes the translated pages,
which stand in a folder of the built book that is named after the language. What they lead to and load is, but for one
another, in the book around that folder. `extensions.languages` holds pages to their catalogues.
"""

import re
import subprocess
import sys
import tempfile
from collections.abc import Collection, Iterator
from pathlib import Path
from posixpath import dirname, join, normpath

import yaml
from babel.messages.catalog import Catalog
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po

from book import BookError
from book.builders import sphinx
from book.texts import toc_pages

NAMES = {"en": "English", "zh_TW": "繁體中文"}  # of the languages, as their readers say it
WORDS = "_static/translations.js"  # Sphinx's own, of a language, for its scripts
ADDRESS = re.compile(r'\b(href|src|action)="(?!\w+:|//|#)([^"?#]*)')
CONTENT_ROOT = 'data-content_root="'


def catalogues(root: Path) -> dict[str, dict[str, Path]]:
    """Language -> page -> its catalogue; those beside the folders of pages have words of the theme and extensions.

    Raises:
        BookError: a language is not known by name, or a catalogue is of no page of the book.
    """
    found: dict[str, dict[str, Path]] = {}
    pages = toc_pages(root)
    for path in sorted((root / "locale").glob("*/LC_MESSAGES/*/*.po")):
        language, _, *parts = path.relative_to(root / "locale").with_suffix("").parts
        if language not in NAMES:
            raise BookError(f"{path}: NAMES in tools/book/translations.py does not say what {language} is called")
        if (page := "/".join(parts)) not in pages:
            raise BookError(f"{path}: _toc.yml lists no page {page}")
        found.setdefault(language, {})[page] = path
    return found


def tag(language: str) -> str:
    """A language as HTML says it: zh-TW."""
    return language.replace("_", "-")


def folder_of(language: str) -> str:
    """Where the pages in a language are in the built book: zh-tw."""
    return tag(language).lower()


def read(path: Path) -> Catalog:
    """A catalogue."""
    with path.open("rb") as file:
        return read_po(file, charset="utf-8")


def translated(catalogue: Catalog) -> dict[str, str]:
    """Its messages that are translated, and not only by a guess from a similar one."""
    return {message.id: message.string for message in catalogue if message.id and message.string and not message.fuzzy}


# ------------------------------------------------------------------------------------------------------------ the pages


def build(root: Path, folder: Path, pages: Path) -> None:
    """Puts the translated pages of every language into the built book.

    Args:
        root: the repository's folder.
        folder: for what is made on the way.
        pages: the built book.

    Raises:
        BookError: Sphinx failed, as it does where a page says what its catalogue has no translation of.
    """
    for language, found in catalogues(root).items():
        made = in_language(root, folder / language, language, found)
        first = toc_pages(root)[0]
        own = {WORDS, *(f"{page}.html" for page in found), *(["index.html"] if first in found else [])}
        for name in own:
            target = pages / folder_of(language) / name
            target.parent.mkdir(parents=True, exist_ok=True)
            text = (made / name).read_text(encoding="utf-8")
            target.write_text(beside(text, name, own) if name.endswith(".html") else text, encoding="utf-8")


def in_language(root: Path, folder: Path, language: str, found: dict[str, Path]) -> Path:
    """Makes the pages in a language, and of the others their titles, and returns where they are."""
    words = compiled(root, language, folder / "locale")
    settings = {"language": language, "locale_dirs": str(words), "translated": ",".join(found)}
    settings["smartquotes"] = "0"  # else the apostrophes of what stays English become brackets
    title = yaml.safe_load((root / "_config.yml").read_text())["title"]
    known = translated(read(found[first])) if (first := toc_pages(root)[0]) in found else {}
    settings["html_title"] = known.get(title, title)
    return sphinx(root, folder, "html", **settings)


def compiled(root: Path, language: str, folder: Path) -> Path:
    """Compiles the catalogues of a language into a folder, as gettext reads them, and returns it."""
    for path in (root / "locale" / language).rglob("*.po"):
        target = folder / path.relative_to(root / "locale").with_suffix(".mo")
        target.parent.mkdir(parents=True, exist_ok=True)
        with target.open("wb") as file:
            write_mo(file, read(path))
    return folder


def beside(html: str, name: str, own: Collection[str]) -> str:
    """A page whose addresses lead out of its language's folder, but for those of `own` and those that do already.

    Args:
        html: of the page.
        name: of the page's file, below the folder.
        own: the files in that folder.
    """

    def moved(found: re.Match[str]) -> str:
        file = normpath(join(dirname(name), found[2]))
        stays = not found[2] or file in own or file.startswith("..")
        return found[0] if stays else f'{found[1]}="{out}{file}'

    out = "../" * (name.count("/") + 1)
    return ADDRESS.sub(moved, html).replace(CONTENT_ROOT, f"{CONTENT_ROOT}../")


# ------------------------------------------------------------------------------------------------------- the catalogues


def update(root: Path, language: str, pages: Collection[str] = ()) -> Iterator[str]:
    """Brings the catalogues of a language up to date, and begins those of new pages; yields what is to be translated.

    Raises:
        BookError: the book has no such page, or Sphinx failed.
    """
    if unknown := set(pages) - set(toc_pages(root)):
        raise BookError(f"_toc.yml lists no {', '.join(sorted(unknown))}; a page's name is like {toc_pages(root)[1]}")
    found = [*dict.fromkeys([*catalogues(root).get(language, {}), *pages])]
    with tempfile.TemporaryDirectory() as folder:
        said = sphinx(root, Path(folder), "gettext", translated=",".join(found))
        for path in said.rglob("*.pot"):
            if str(path.relative_to(said).with_suffix("")) not in found:
                path.unlink()
        command = [sys.executable, "-m", "sphinx_intl", "update", "--pot-dir", said, "--language", language]
        command += ["--locale-dir", root / "locale", "--line-width", "120", "--no-obsolete", "--jobs", "1"]
        subprocess.run(command, check=True)
    for page in found:
        path = root / "locale" / language / "LC_MESSAGES" / f"{page}.po"
        catalogue = read(path)
        known = translated(catalogue)
        yield from (f"{path}: {message.id}" for message in catalogue if message.id and message.id not in known)
