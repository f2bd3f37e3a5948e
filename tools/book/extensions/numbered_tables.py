"""Numbers the tables that have a caption, and lets the keyboard scroll wide ones: a Sphinx extension.

A cell's `mystnb: figure:` with a name that begins with `tab-` puts its table, with the caption above it, into the
numbering of tables, to which {numref} refers. Without this Sphinx would count it as a figure.
"""

import re

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.transforms import SphinxTransform
from sphinx.writers.html5 import HTML5Translator

PREFIX = "tab-"


class NumberedTable(nodes.figure):
    """What a cell shows, with a caption and a number among the tables."""


class NumberTables(SphinxTransform):
    """Tells tables from figures by their names."""

    default_priority = 300  # after the cells are figures, before these are numbered

    def apply(self) -> None:
        """Called by Sphinx for each page."""
        for figure in list(self.document.findall(nodes.figure)):
            if any(name.startswith(PREFIX) for name in figure["names"]):
                parts = sorted(figure.children, key=lambda part: not isinstance(part, nodes.caption))
                table = NumberedTable(figure.rawsource, *parts, **figure.attributes)
                figure.replace_self(table)
                self.document.ids.update(dict.fromkeys(table["ids"], table))


def visit(self: HTML5Translator, node: NumberedTable) -> None:
    """Begins the table, as HTML has it: <figure> is for tables, too."""
    self.visit_figure(node)


def depart(self: HTML5Translator, node: NumberedTable) -> None:
    """Ends the table."""
    self.depart_figure(node)


OUTPUT = re.compile(r'<div class="output text_html">(?=((?:(?!</table>).)*)</table>)', re.DOTALL)


def make_reachable(_app: Sphinx, _page: str, _template: str, context: dict[str, object], _doctree: object) -> None:
    """A table may be wider than the page: without a link from which it can be scrolled, it becomes a stop itself."""

    def stop(found: re.Match[str]) -> str:
        return found[0] if "<a " in found[1] else '<div class="output text_html" tabindex="0">'

    context["body"] = OUTPUT.sub(stop, str(context.get("body", "")))


def setup(app: Sphinx) -> dict[str, bool]:
    """Called by Sphinx."""
    app.add_enumerable_node(NumberedTable, "table", html=(visit, depart))
    app.add_transform(NumberTables)
    app.connect("html-page-context", make_reachable)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
