"""The whole book as one PDF, build/book.pdf: jupyter-book's single page, printed by Chromium."""

import os
import shutil
import tempfile
from pathlib import Path

from playwright.sync_api import Error, sync_playwright

from book import BookError, first_line
from book.builders import jupyter_book
from book.texts import toc_pages

# On paper there is nothing to click or to scroll; the contents and each chapter begin on a page of their own.
STYLE = """
html { font-size: 80%; }
.headerlink, .copybtn, .toggle-button { display: none !important; }
article, [id^="document-"] { display: block; break-before: page; }
.cell_input, .cell_output img, table.dataframe tr, figure, .citation { break-inside: avoid; }
h2, h3, h4 { break-after: avoid; }
details:not([open]) { display: none; }
.cell_output .output { overflow: visible !important; }
table { font-size: 0.8rem; }
"""
FOOTER = '<div style="width: 100%; text-align: center; font-size: 8px"><span class="pageNumber"></span></div>'


def pdf(root: Path, target: Path) -> None:
    """Prints the book, whole or not at all: the file of an earlier time stays until this one is there.

    Raises:
        BookError: no browser, or jupyter-book or the browser failed.
    """
    browser = chromium()
    target.parent.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".pdf-") as folder:
        pages = jupyter_book(root, Path(folder), "singlehtml")
        first = f"{toc_pages(root)[0]}.html"
        # The page lies one level below what it refers to as if it were beside it.
        page, printed = shutil.copy(pages / first, pages / "book.html"), Path(folder, "book.pdf")
        try:
            print_page(browser, page, printed)
        except Error as error:
            raise BookError(f"{browser} did not print the book: {first_line(error)}") from None
        printed.replace(target)
    print(f"{target}, {target.stat().st_size / 1e6:.1f} MB")


def print_page(browser: str, page: Path, target: Path) -> None:
    """Prints a page as A4 with numbered pages, once its mathematics is set."""
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=browser, args=["--no-sandbox", "--disable-gpu"])
        tab = launched.new_page()
        tab.goto(page.resolve().as_uri(), wait_until="load")
        tab.evaluate("window.MathJax?.startup?.promise")
        tab.add_style_tag(content=STYLE)
        tab.pdf(
            path=target,
            format="A4",
            margin={"top": "16mm", "bottom": "16mm", "left": "18mm", "right": "18mm"},
            print_background=True,
            display_header_footer=True,
            header_template="<span></span>",
            footer_template=FOOTER,
            outline=True,
            tagged=True,
        )
        launched.close()


def chromium() -> str:
    """The browser that looks at pages: the program that CHROMIUM names, else one of the usual names.

    Raises:
        BookError: there is none.
    """
    names = [os.environ["CHROMIUM"]] if "CHROMIUM" in os.environ else ["chromium", "chromium-browser", "google-chrome"]
    if found := next(filter(None, map(shutil.which, names)), None):
        return found
    raise BookError(f"no {names[0]} on this machine: install chromium, or name a browser of its kind in CHROMIUM")
