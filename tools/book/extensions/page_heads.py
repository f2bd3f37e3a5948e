"""What a page says of itself to who links to it, searches for it or keeps it: a Sphinx extension.

Each page's head has a description, its first paragraph, and names a picture of the book's main figure, which is drawn
when the book is built. Nothing of it is fetched by who reads the page.
"""

import re
from html import escape
from pathlib import Path

from docutils import nodes
from sphinx.application import Sphinx

from book.translations import folder_of
from resnet_lib.jobs import campaign
from resnet_lib.runs.settings import plain, resnet
from resnet_lib.show import figures

PICTURE = "social.png"  # in the build's _static
LONGEST = 200  # letters of a description; who shows one cuts it about there
SIZE = (6.0, 3.15)  # inches of the picture; at 200 dots 1200 x 630, the shape that is asked for


def published_at(repository: str) -> str | None:
    """Where a repository's pages are, by the host's own rule; None for a host whose rule is not known."""
    found = re.fullmatch(r"https://github\.com/([\w.-]+)/([\w.-]+?)/?", repository)
    return found and f"https://{found[1].lower()}.github.io/{found[2]}/"


def description(doctree: nodes.document) -> str:
    """The first paragraph of a page's text, cut after a word if it is long."""
    for paragraph in doctree.findall(nodes.paragraph):
        if isinstance(paragraph.parent, nodes.section) and (text := " ".join(paragraph.astext().split())):
            return text if len(text) <= LONGEST else text[: LONGEST - 1].rsplit(" ", 1)[0].rstrip(",;:") + " …"
    return ""


def tags(title: str, book: str, about: str, address: str | None, page: str) -> str:
    """The elements for a page's head. A picture's address has to be whole, so without one none is named."""
    said = {"og:title": title, "og:type": "article", "og:site_name": book, "og:description": about}
    if address:
        said |= {"og:url": f"{address}{page}.html", "og:image": f"{address}_static/{PICTURE}"}
        said["og:image:alt"] = "Error against iteration: deeper plain nets are worse, with shortcuts hardly so"
    found = [f'<meta property="{name}" content="{escape(text)}" />' for name, text in said.items() if text]
    found += [f'<meta name="description" content="{escape(about)}" />'] if about else []
    return "\n".join([*found, '<meta name="twitter:card" content="summary_large_image" />'])


def add_tags(
    app: Sphinx, page: str, _template: str, context: dict[str, object], doctree: nodes.document | None
) -> None:
    """Called by Sphinx for each page; pages without a text, such as lists of runs, are described by their title."""
    title = nodes.Text(re.sub(r"<[^>]*>", "", str(context.get("title", "")))).astext()
    address = published_at(str(app.config.html_theme_options.get("repository_url", "")))
    about = description(doctree) if doctree else ""
    place = page if app.config.language == "en" else f"{folder_of(app.config.language)}/{page}"
    context["metatags"] = f"{context.get('metatags', '')}\n{tags(title, app.config.html_title, about, address, place)}"


def draw_picture(app: Sphinx, exception: Exception | None) -> None:
    """Draws the book's main figure, of the records, as a picture to go with a link."""
    if app.builder.name == "html" and exception is None and not app.config.translated:
        nets = [plain(20), plain(56), resnet(20), resnet(56)]
        runs = campaign.collect("degradation", "quick", settings=nets)
        without = [run for run in runs if run.config.net.shortcut == "none"]
        figure = figures.curves(
            {"plain": without, "the same with + x": [run for run in runs if run not in without]},
            title=app.config.html_title,
        )
        figure.set_size_inches(SIZE)
        figure.savefig(Path(app.outdir, "_static", PICTURE), dpi=200, metadata={"Software": None})


def setup(app: Sphinx) -> dict[str, bool]:
    """Called by Sphinx."""
    app.connect("html-page-context", add_tags)
    app.connect("build-finished", draw_picture)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
