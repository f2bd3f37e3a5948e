"""Keeps the book's texts, notebooks and pages together. One way only: text -> executed notebook -> page.

A chapter is written in chapters/NN_name.md (MyST Markdown). `sync` turns it into notebooks/NN_name.ipynb, which is
committed with its outputs; `checks` holds the two together; `reproduce` executes the notebooks with other parameters,
away from the committed ones; `pages` makes the book of them, `translations` some pages in other languages, and
`page_checks` looks whether it is whole. Everywhere `root` is the repository's folder. Run it as `python -m book`, with
tools/ on the path.

What is complete follows from the texts and the table of contents alone (`texts.contents`). Notebooks, checks of outputs
and pages are held against it, so that nothing is green because it did not run.
"""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


class BookError(Exception):
    """What the user can mend; its message is one line."""


def first_line(error: Exception) -> str:
    """What a traceback ends with, on one line."""
    return f"{type(error).__name__}: {error}".strip().splitlines()[0]


def clock(seconds: float) -> str:
    """Minutes and seconds, as 1:05; with hours, as 1:02:03."""
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"
