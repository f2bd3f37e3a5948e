"""For a classroom: slides, the lab's notebooks and the prediction sheet, of the texts in teaching/.

Slides show what chapters show: a line {{ NAME }} of their text stands for the figure or table of that name in the
committed notebooks, or for a claim or fact of the ledger with its verdicts. So nothing is executed, and a slide has the
numbers that the pages have. Everything is one file without a network.
"""

import re
from html import escape, unescape
from pathlib import Path
from string import Template

import nbformat
from markdown_it import MarkdownIt
from nbformat import NotebookNode

from book import BookError
from book.extensions.pictures import described
from book.notebooks import clean, code_cells, read_notebook
from book.texts import read_text
from resnet_lib.evidence import ledger
from resnet_lib.evidence.claims import CLAIMS
from resnet_lib.evidence.facts import FACTS
from resnet_lib.evidence.verdicts import brief
from resnet_lib.runs.store import Records
from resnet_lib.show import toys

FOLDER = "teaching"  # of the texts, and of the built book
LABS = {"lab": "solution", "lab_solutions": "exercise"}  # notebook -> tag of the cells that it leaves out
SHOWN = re.compile(r"<p>\{\{ (.+?) \}\}</p>")
RUNS = re.compile(r'<(p|details) class="runs">.*?</\1>', re.DOTALL)  # leads to pages that slides do not have


def build(root: Path, folder: Path) -> list[str]:
    """Writes slides, sheet and lab into a folder, and the lab's notebooks beside their text; returns the files' names.

    Raises:
        BookError: a slide asks for what no chapter shows, or a text cannot be read.
    """
    folder.mkdir(parents=True, exist_ok=True)
    records = Records.committed()
    pages = {path.stem: slides(root, path, records) for path in sorted((root / FOLDER).glob("lesson_*.md"))}
    pages["predictions"] = sheet(root, records)
    for name, page in pages.items():
        (folder / f"{name}.html").write_text(page, encoding="utf-8")
    for name, notebook in labs(root).items():
        for place in (root / FOLDER, folder):
            nbformat.write(notebook, place / f"{name}.ipynb")
    return [*(f"{name}.html" for name in pages), *(f"{name}.ipynb" for name in LABS)]


# ------------------------------------------------------------------------------------------------------------- slides


def slides(root: Path, text: Path, records: Records) -> str:
    """A lesson as a page of slides; its text has a line --- between two slides, and notes as quotations."""
    render = MarkdownIt("commonmark").enable("table").render
    shown = showable(root)

    def show(match: re.Match[str]) -> str:
        name = unescape(match[1])
        if name in shown:
            return f'<div class="shown" tabindex="0">{shown[name]}</div>'
        if (entry := (CLAIMS | FACTS).get(name)) is None:
            raise BookError(f"{text}: no chapter shows {name}, and no claim is called so")
        told = [f"**{entry.statement}**", ""]
        told += [f"Measured: {entry.effect.text}.", ""] if name in CLAIMS else []
        return render("\n".join([*told, *(f"- {line}" for line in ledger.told(entry, records, brief))]))

    parts = text.read_text(encoding="utf-8").split("\n---\n")
    title = parts[0].strip().splitlines()[0].removeprefix("# ")
    sections = "\n".join(f"<section>\n{SHOWN.sub(show, render(part))}</section>" for part in parts)
    return Template((root / FOLDER / "slides.html").read_text()).substitute(title=escape(title), slides=sections)


def showable(root: Path) -> dict[str, str]:
    """Name -> HTML of every figure and table that has a name in the committed notebooks."""
    found = {}
    for path in sorted((root / "notebooks").glob("*.ipynb")):
        for cell in code_cells(read_notebook(path)):
            told = cell.metadata.get("mystnb", {})
            html = "".join(output.get("data", {}).get("text/html", "") for output in cell.outputs)
            if (name := told.get("figure", {}).get("name")) and html:
                found[name] = RUNS.sub("", described(html, told.get("image", {}).get("alt", "")))
    return found


# -------------------------------------------------------------------------------------------------- lab and prediction


def labs(root: Path) -> dict[str, NotebookNode]:
    """The lab with gaps, and with its solutions: notebooks without outputs, whose first cell installs the package."""
    found = {}
    for name, left_out in LABS.items():
        notebook = read_text(root / FOLDER / "lab.md")
        notebook.cells = [cell for cell in notebook.cells if left_out not in cell.metadata.get("tags", [])]
        found[name] = clean(notebook)
    return found


def sheet(root: Path, records: Records) -> str:
    """Ten claims of the ledger to judge, and on a second page what came out."""
    guesses = toys.to_guess(records)
    choices = "".join(f"<span>☐ {words}</span> " for words in toys.ANSWERS.values())
    claims = (
        f"<li><p>{escape(entry.statement)} <small>({where})</small></p><p class='choices'>{choices}</p></li>"
        for entry, _, _, where in guesses
    )
    answers = (f"<li><p>{escape(entry.statement)}</p><p>{told}</p></li>" for entry, _, told, _ in guesses)
    template = Template((root / FOLDER / "sheet.html").read_text())
    return template.substitute(claims="\n".join(claims), answers="\n".join(answers), always=toys.always(guesses))
