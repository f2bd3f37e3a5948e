"""Pages in other languages than English, by the catalogues in locale/: a Sphinx extension.

Sphinx itself puts translations in the place of what they translate. This adds what it leaves out: words in a code
cell's metadata and in the verdicts that a cell puts out, a warning of each message without a translation, and on every
page links to the same page in other languages. Of pages that are not translated only the titles are read, which costs
little.
"""

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cache
from html import escape
from pathlib import Path

from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.config import Config
from sphinx.locale import get_translation, init
from sphinx.transforms import SphinxTransform
from sphinx.util import logging
from sphinx.util.nodes import extract_messages
from sphinx_exercise.nodes import exercise_title, solution_title
from sphinx_external_toc.events import InsertToctrees

from book.extensions.page_heads import published_at
from book.translations import NAMES, catalogues, folder_of, tag

TEMPLATES = Path(__file__).parents[3] / "book" / "_templates"
TITLE = re.compile(r"^# .*$", re.MULTILINE)
CITED = re.compile(r"\{cite\}`[^`]+`")


def only_title(app: Sphinx, page: str, source: list[str]) -> None:
    """Leaves a page its title and what it cites, unless all of the book is asked for, or this page is.

    The list of references is read whole: it numbers what all pages cite.
    """
    if not app.config.translated or page in app.config.translated or "{bibliography}" in source[0]:
        return
    text, notebook = source[0], None
    if app.env.doc2path(page).endswith(".ipynb"):
        notebook = json.loads(text)
        text = "\n\n".join("".join(cell["source"]) for cell in notebook["cells"] if cell["cell_type"] == "markdown")
    text = "\n\n".join([TITLE.search(text)[0], *CITED.findall(text)])
    if notebook:
        cell = {"cell_type": "markdown", "id": "title", "metadata": {}, "source": text}
        text = json.dumps(notebook | {"cells": [cell]})
    source[0] = text


class Cell(nodes.container, addnodes.translatable):
    """A code cell. Its metadata have words for the reader: an alternative text, and the names of a button."""

    def preserve_original_messages(self) -> None:
        """They stay until they are translated, once."""

    def extract_original_messages(self) -> list[str]:
        """What is to be translated."""
        alt = self["cell_metadata"].get("mystnb", {}).get("image", {}).get("alt")
        return [word for word in (alt, self.get("prompt_show"), self.get("prompt_hide")) if word]

    def apply_translated_message(self, original_message: str, translated_message: str) -> None:
        """Says it in the language."""
        said = self["cell_metadata"].get("mystnb", {})
        if said.get("image", {}).get("alt") == original_message:
            said["image"]["alt"] = translated_message
        for prompt in ("prompt_show", "prompt_hide"):
            if self.get(prompt) == original_message:
                self[prompt] = translated_message


class MarkWords(SphinxTransform):
    """Tells what is said in a code cell's outputs from what was computed there.

    Of verdicts the statement and the words in emphasis are to be translated, and the numbers are not. Tables and
    pictures stay as they are, and so does a book of which nothing is to be translated.
    """

    default_priority = 5  # before Sphinx looks for what is to be translated

    def apply(self) -> None:
        """Called by Sphinx for each page."""
        if not self.config.translated:
            return
        for title in self.document.findall(lambda node: isinstance(node, exercise_title | solution_title)):
            title["translatable"] = False  # by the extension's own catalogue
        for cell in list(self.document.findall(is_part("cell_code"))):
            cell.replace_self(Cell("", *cell.children, **cell.attributes))
        for output in self.document.findall(is_part("mime_bundle")):
            for part in output.findall(nodes.TextElement):
                part["translatable"] = False
            for text in list(output.findall(nodes.Text)):
                if (words := text.strip()) and is_said(text):
                    said = nodes.inline(words, words, translatable=True)
                    said.source, said.line = self.document["source"], 1
                    text.parent.replace(text, [said, nodes.Text(text[len(text.rstrip()) :])])


def is_part(kind: str) -> Callable[[nodes.Node], bool]:
    """Tells whether a node is that part of a notebook."""
    return lambda node: isinstance(node, nodes.container) and node.get("nb_element") == kind


def is_said(text: nodes.Text) -> bool:
    """Whether a text in an output is a statement or a verdict, which come as Markdown."""
    if isinstance(text.parent, nodes.emphasis | nodes.strong):
        return True
    return isinstance(text.parent, nodes.paragraph) and text.parent.index(text) == 0


class SayLanguages(SphinxTransform):
    """Outputs are English, and what of them was translated is not; so read aloud, each sounds right."""

    default_priority = 30  # when all is translated

    def apply(self) -> None:
        """Called by Sphinx for each page."""
        if self.config.language == "en":
            return
        for output in self.document.findall(is_part("cell_code_output")):
            for part in output.findall(lambda node: isinstance(node, nodes.Element) and "translatable" in node):
                if part["translatable"]:
                    del part["translatable"]  # else Sphinx moves it to the end of its paragraph
                    part["classes"] += [f"language-{tag(self.config.language)}"]
            for part in output.findall(nodes.caption):
                part["classes"] += [f"language-{tag(self.config.language)}"]
            output["classes"] += ["language-en"]


class HoldToCatalogue(SphinxTransform):
    """Warns of what a translated page says and its catalogue does not, and the other way round."""

    default_priority = 15  # before Sphinx translates

    def apply(self) -> None:
        """Called by Sphinx for each page."""
        page = self.env.docname
        if self.config.language == "en" or page not in self.config.translated:
            return
        words, _ = init(self.config.locale_dirs, self.config.language, page)
        said = [message for _, message in extract_messages(self.document) if message]
        for lag in lags(said, {message: word for message, word in words._catalog.items() if message}):
            logging.getLogger(__name__).warning("%s: %s", page, lag)


def lags(said: Iterable[str], catalogue: Mapping[str, str]) -> Iterator[str]:
    """Where a page and its catalogue differ.

    Args:
        said: what the page says.
        catalogue: message -> translation, of those that have one.
    """
    said = dict.fromkeys(said)
    for message in said:
        if message not in catalogue:
            yield f"not translated, or it has changed: “{message}”. Run `make translations`, then translate it"
    for message in catalogue:
        if message not in said:
            yield f"translated, but not said any more: “{message}”. Run `make translations`"


offered = cache(catalogues)  # the same for each page


def offer_languages(app: Sphinx, page: str, _template: str, context: dict[str, object], _doctree: object) -> None:
    """Leads from a page to the same page in other languages, in its header and in its head.

    The single page, which becomes the PDF, is alone.
    """
    found = offered(Path(app.srcdir)) if app.builder.name == "html" else {}
    ours, up = app.config.language, "../" * page.count("/")
    address = published_at(str(app.config.html_theme_options.get("repository_url", "")))
    links, heads = [], []
    for language in ["en", *(language for language, pages in found.items() if page in pages)]:
        file = f"{page}.html" if language == "en" else f"{folder_of(language)}/{page}.html"
        way = f"{up}{file}" if ours == "en" else f"../{up}{file}"
        if language != ours:
            links.append((tag(language), NAMES[language], way))
        heads.append(f'<link rel="alternate" hreflang="{tag(language)}" href="{escape((address or up) + file)}" />')
    if links:
        context["languages"] = links
        context["theme_article_header_end"] = ["languages.html", *context["theme_article_header_end"]]
        context["metatags"] = "\n".join([str(context.get("metatags", "")), *heads])


def find_words(app: Sphinx, config: Config) -> None:
    """Lets the theme find the links' template, and theme and extensions the words that they come without."""
    config.templates_path.append(str(TEMPLATES))
    if config.language != "en":
        for path in Path(config.locale_dirs[0], config.language, "LC_MESSAGES").glob("*.mo"):
            app.add_message_catalog(path.stem, path.parents[2])
        say, theme = get_translation("sphinx"), config.html_theme_options
        theme["search_bar_text"] = say(theme.get("search_bar_text", "Search"))
        config.togglebutton_hint, config.togglebutton_hint_hide = say("Click to show"), say("Click to hide")


def setup(app: Sphinx) -> dict[str, bool]:
    """Called by Sphinx."""
    app.add_config_value("translated", [], "env", types=[list])
    app.connect("source-read", only_title)
    for transform in (MarkWords, HoldToCatalogue, SayLanguages):
        app.add_transform(transform)
    InsertToctrees.default_priority = MarkWords.default_priority  # so that captions of parts are translated, too
    app.connect("config-inited", find_words, priority=400)  # before other extensions say them
    app.connect("html-page-context", offer_languages, priority=600)  # after the theme has listed what its header has
    return {"parallel_read_safe": True, "parallel_write_safe": True}
