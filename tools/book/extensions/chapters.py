"""Makes a link of each chapter that a text names by its number, as in "chapter 4": a Sphinx extension.

The number is that of the chapter's file, which _toc.yml puts in the same order; `page_checks` holds pages to both.
"""

import re
from collections.abc import Iterable

from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.transforms import SphinxTransform
from sphinx.util import logging

NUMBERED = re.compile(r"notebooks/(\d\d)_")  # what the names of chapters begin with
NAMED = re.compile(r"([Cc]hapters?\s\d+\b|第 \d+ 章)")
UNTOUCHED = (nodes.title, nodes.reference, addnodes.pending_xref, nodes.literal, nodes.FixedTextElement, nodes.raw)


def numbered(names: Iterable[str]) -> dict[int, str]:
    """The chapters among the names of pages, by their numbers."""
    return {int(found[1]): name for name in names if (found := NUMBERED.match(name))}


class LinkChapters(SphinxTransform):
    """Texts name chapters by their numbers, and so do the verdicts that a cell puts out."""

    default_priority = 300

    def apply(self) -> None:
        """Called by Sphinx for each page."""
        pages = numbered(self.env.found_docs)
        for text in list(self.document.findall(nodes.Text)):
            parts = NAMED.split(text)
            if len(parts) > 1 and not inside(text):
                text.parent.replace(text, [self.linked(part, pages) for part in parts if part])

    def linked(self, part: str, pages: dict[int, str]) -> nodes.Node:
        """A part of a text: a link if it names a chapter, else as it is."""
        if not NAMED.fullmatch(part):
            return nodes.Text(part)
        if (page := pages.get(int(part.split()[1]))) is None:
            logging.getLogger(__name__).warning("%s: there is no %s", self.env.docname, part)
            return nodes.Text(part)
        how = {"refdomain": "std", "reftype": "doc", "refexplicit": True, "refwarn": True}
        return addnodes.pending_xref("", nodes.inline("", part), reftarget=f"/{page}", refdoc=self.env.docname, **how)


def inside(text: nodes.Text) -> bool:
    """Whether a text is part of what stays as it is, such as a title, code or another link."""
    part = text.parent
    while part is not None and not isinstance(part, UNTOUCHED):
        part = part.parent
    return part is not None


def setup(app: Sphinx) -> dict[str, bool]:
    """Called by Sphinx."""
    app.add_transform(LinkChapters)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
