"""From executed notebooks to the book's pages: what `builders` makes, and what it leaves to mend."""

import re
import shutil
import tempfile
from collections import Counter
from pathlib import Path
from typing import NamedTuple

from bs4 import BeautifulSoup

from book import BookError, classroom, translations
from book.builders import jupyter_book, sphinx
from book.page_checks import page_problems

# MathJax comes as many ready-made bundles; the pages load this one, which finds its fonts beside itself.
MATHJAX_BUNDLE = "_static/mathjax/tex-chtml.js"
# What pages can do without, more than half of the built book. Font Awesome's script draws as pictures, on every page,
# the icons that its font shows anyway.
UNUSED = (
    "_static/mathjax/*.js",
    "_static/mathjax/input/mml",
    "_static/mathjax/output/svg",
    "_static/scripts/fontawesome.js*",
)


class Patch(NamedTuple):
    """A change of what the theme writes."""

    what: str
    pattern: str
    to: str


COLUMN = 'id="pst-primary-sidebar" class="bd-sidebar-primary bd-sidebar"'
PATCHES = (
    Patch("the script that was dropped", r"<script [^>]*/fontawesome\.js[^>]*></script>\n?", ""),
    # The theme leaves the title and search of the left column outside any landmark.
    Patch("the left column", COLUMN, f'{COLUMN} role="complementary" aria-label="Book"'),
    # A role of references that is deprecated, and that no item of a list may have.
    Patch("an entry of the references", 'role="doc-biblioentry"', 'role="listitem"'),
)


def build(root: Path, plain: bool = False) -> list[str]:
    """Makes the pages in build/book, with warnings as errors; returns the problems.

    Always from nothing, since Sphinx repeats no warning for a page that it did not read again. The pages of
    the last good build stay until this one is good too.

    Args:
        root: the repository's folder.
        plain: by Sphinx and conf.py, without jupyter-book.
    """
    target = root / "build" / "book"
    target.parent.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".book-") as folder:
        try:
            pages = make(root, Path(folder), plain)
        except BookError as error:
            return [str(error)]
        if problems := page_problems(root, pages):
            return problems
        shutil.rmtree(target, ignore_errors=True)
        pages.replace(target)
    print(f"open {target / 'index.html'}")
    return []


def same(root: Path) -> list[str]:
    """Makes the pages by Sphinx alone as well; returns which differ from those that `build` left in build/book."""
    with tempfile.TemporaryDirectory() as folder:
        try:
            return differences(root / "build" / "book", make(root, Path(folder), plain=True))
        except BookError as error:
            return [str(error)]


def differences(one: Path, other: Path) -> list[str]:
    """The pages that are in one of two folders only, or whose article differs; menus and footers do not count."""
    these, those = ({str(path.relative_to(pages)): path for path in pages.rglob("*.html")} for pages in (one, other))
    problems = [f"{name} is in {one} only" for name in sorted(these.keys() - those.keys())]
    problems += [f"{name} is in {other} only" for name in sorted(those.keys() - these.keys())]
    common = sorted(these.keys() & those.keys())
    return problems + [f"{name} differs" for name in common if article(these[name]) != article(those[name])]


def article(page: Path) -> str:
    """What of a page is its own; all of it where nothing else is around, as on slides."""
    page = BeautifulSoup(page.read_text(encoding="utf-8"), "html.parser")
    return str(page.select_one("article") or page)


def make(root: Path, folder: Path, plain: bool) -> Path:
    """The pages as readers get them, in `folder`."""
    pages = (sphinx if plain else jupyter_book)(root, folder, "html")
    translations.build(root, folder, pages)
    drop_unused(pages)
    mend(pages)
    classroom.build(root, pages / classroom.FOLDER)
    return pages


def drop_unused(pages: Path) -> None:
    """Removes what pages can do without.

    Raises:
        BookError: it is not there, or what pages need is not: the theme or MathJax has changed.
    """
    if not (pages / MATHJAX_BUNDLE).is_file():
        raise BookError(f"the build has no {MATHJAX_BUNDLE}, which pages load: see tools/book/pages.py")
    for pattern in UNUSED:
        unused = [path for path in pages.glob(pattern) if path != pages / MATHJAX_BUNDLE]
        if not unused:
            raise BookError(f"the build has no {pattern}, which was to be dropped: see tools/book/pages.py")
        for path in unused:
            shutil.rmtree(path) if path.is_dir() else path.unlink()


def mend(pages: Path) -> None:
    """Changes what the theme writes, so that parts of a page say what they are to who hears them.

    Raises:
        BookError: no page has what is to be changed: the theme has.
    """
    made: Counter[Patch] = Counter()
    for path in pages.rglob("*.html"):
        page = path.read_text()
        for patch in PATCHES:
            page, times = re.subn(patch.pattern, patch.to, page)
            made[patch] += times
        path.write_text(page)
    if missed := [patch.what for patch in PATCHES if not made[patch]]:
        raise BookError(
            f"the theme has changed: no page has {' or '.join(missed)} as it was; see PATCHES in tools/book/pages.py"
        )
