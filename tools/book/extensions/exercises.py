"""Mends two faults of sphinx-exercise 1.2: a Sphinx extension, named after it in _config.yml."""

from docutils import nodes
from sphinx.application import Sphinx

REPEATED = {"exercise-content", "solution-content"}


def drop_repeated_ids(app: Sphinx, document: nodes.document, docname: str) -> None:
    """The body of every exercise of a page has one and the same id, and so has that of every solution."""
    for section in document.findall(nodes.section):
        section["ids"] = [name for name in section["ids"] if name not in REPEATED]


def setup(app: Sphinx) -> dict[str, bool]:
    """Called by Sphinx."""
    # Once an extension says how the single page shows its nodes, Sphinx asks it alone, and knows no other's.
    # As pages have them is right for all.
    app.registry.translation_handlers.pop("singlehtml", None)
    app.connect("doctree-resolved", drop_repeated_ids)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
