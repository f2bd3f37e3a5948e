"""Gives the pictures that are HTML the alternative text of their cell: a Sphinx extension.

For an image Sphinx does so itself.
"""

from html import escape

from docutils import nodes
from sphinx.application import Sphinx

PANELS = '<div class="panels"'  # see resnet_lib/show/pictures.py


def described(html: str, alt: str) -> str:
    """A picture's HTML whose panels are one image with this alternative text; other HTML stays as it is."""
    return html.replace(PANELS, f'{PANELS} role="img" aria-label="{escape(" ".join(alt.split()))}"')


def describe(_app: Sphinx, doctree: nodes.document, _docname: str) -> None:
    """Makes one image, with its alternative text, of the panels of each picture."""
    for cell in doctree.findall(nodes.container):
        alt = cell.get("cell_metadata", {}).get("mystnb", {}).get("image", {}).get("alt")
        for output in cell.findall(nodes.raw) if alt else ():
            text = output.astext()
            if PANELS in text:
                output.children = [nodes.Text(described(text, alt))]


def setup(app: Sphinx) -> dict[str, bool]:
    """Called by Sphinx."""
    app.connect("doctree-resolved", describe)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
