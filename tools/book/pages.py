"""From executed notebooks to the book's pages: jupyter-book, and what it leaves to mend."""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from book import BookError, classroom
from book.page_checks import page_problems
from book.texts import repository

# MathJax comes as many ready-made bundles; the pages load this one, which finds its fonts beside itself.
MATHJAX_BUNDLE = "tex-chtml.js"


def build(root: Path) -> list[str]:
    """Makes the pages in build/book, with warnings as errors; returns the problems.

    Always from nothing, since Sphinx repeats no warning for a page that it did not read again. The pages of
    the last good build stay until this one is good too.
    """
    target = root / "build" / "book"
    target.parent.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".book-") as folder:
        try:
            pages = jupyter_book(root, Path(folder), "html")
        except BookError as error:
            return [str(error)]
        classroom.build(root, pages / classroom.FOLDER)
        drop_unused_scripts(pages)
        for page in pages.rglob("*.html"):
            page.write_text(mended(page.read_text()))
        if problems := page_problems(root, pages):
            return problems
        shutil.rmtree(target, ignore_errors=True)
        pages.replace(target)
    print(f"open {target / 'index.html'}")
    return []


def jupyter_book(root: Path, folder: Path, builder: str) -> Path:
    """Runs a builder of jupyter-book, with warnings as errors, and returns where it left the pages in `folder`."""
    config = folder / "_config.yml"
    config.write_text(served_config(root))
    command = [Path(sys.executable).with_name("jupyter-book"), "build", root, "--path-output", folder]
    command += ["--config", config, "--toc", root / "_toc.yml", "--builder", builder]
    extensions = os.pathsep.join([str(root), str(root / "tools"), os.environ.get("PYTHONPATH", "")])
    result = subprocess.run(
        [*command, "-W", "-n", "--keep-going", "--quiet"],
        env=os.environ | {"PYTHONPATH": extensions},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if result.returncode:
        print(result.stdout, end="", file=sys.stderr)
        raise BookError(f"jupyter-book ended with status {result.returncode}; what it said stands above")
    return folder / "_build" / builder


def served_config(root: Path) -> str:
    """_config.yml; on a hosting service the buttons lead to the repository whose pipeline builds the pages."""
    text = (root / "_config.yml").read_text()
    if slug := os.environ.get("GITHUB_REPOSITORY"):
        host = os.environ.get("GITHUB_SERVER_URL", "https://github.com")
        return text.replace(repository(root), f"{host}/{slug}")
    return text


def drop_unused_scripts(pages: Path) -> None:
    """Removes scripts that pages can do without, more than half of the built book.

    Of MathJax's bundles pages load one. Font Awesome's script draws as pictures, on every page, the icons that its font
    shows anyway.
    """
    mathjax = pages / "_static" / "mathjax"
    for script in mathjax.glob("*.js"):
        if script.name != MATHJAX_BUNDLE:
            script.unlink()
    for unused in ("input/mml", "output/svg"):
        shutil.rmtree(mathjax / unused)
    for script in (pages / "_static" / "scripts").glob("fontawesome.js*"):
        script.unlink()


def mended(page: str) -> str:
    """A page's HTML without the script that was dropped, and with parts that say what they are to who hears them.

    The theme leaves the title and search of the left column outside any landmark. Sphinx gives references a role that
    is deprecated, and that no item of a list may have.
    """
    column = 'id="pst-primary-sidebar" class="bd-sidebar-primary bd-sidebar"'
    page = re.sub(r"<script [^>]*/fontawesome\.js[^>]*></script>\n?", "", page)
    page = page.replace(column, f'{column} role="complementary" aria-label="Book"')
    return page.replace('role="doc-biblioentry"', 'role="listitem"')
