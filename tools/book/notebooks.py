"""A notebook: how it lies on disk, so that the same cells give the same bytes, and how it is executed."""

import hashlib
import json
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import nbformat
import papermill
from nbformat import NotebookNode
from papermill.exceptions import PapermillExecutionError

from book import BookError, first_line

# Stated here, so that it does not depend on the machine; papermill needs the language to write parameters.
KERNELSPEC = {"display_name": "Python 3", "language": "python", "name": "python3"}
TIMED = "measures-time"  # the tag of a cell whose output no notebook keeps: it is another at every execution
ORDER = "the outputs are not those of one run from the first cell to the last"


def read_notebook(path: Path) -> NotebookNode:
    """A notebook as it lies on disk.

    Raises:
        BookError: it is not there, or is none.
    """
    try:
        return nbformat.read(path, as_version=4)
    except (OSError, ValueError, nbformat.ValidationError) as error:
        raise BookError(f"{path}: {first_line(error)}") from None


def code_cells(notebook: NotebookNode) -> list[NotebookNode]:
    """The cells that are executed, in order."""
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def has_figure(cell: NotebookNode) -> bool:
    """Whether a code cell's metadata promise an image, with its alternative text."""
    return "image" in cell.metadata.get("mystnb", {})


def is_image(output: NotebookNode) -> bool:
    """Whether an output is a picture, as a file or as HTML (resnet_lib/show/pictures.py)."""
    data = output.get("data", {})
    return '<div class="picture"' in data.get("text/html", "") or any(kind.startswith("image/") for kind in data)


PICTURES = "PICTURES.sha256"  # beside the notebooks: what each picture in their outputs is


def pictures(name: str, notebook: NotebookNode) -> list[str]:
    """A line for each picture in a notebook's outputs: its digest, and where it is.

    That of a cell whose output nbval ignores has one, too: nothing else would notice another in its place.
    """
    return [
        f"{hashlib.sha256(json.dumps(output.data, sort_keys=True).encode()).hexdigest()}  "
        f"{name}, code cell {number}, output {place}"
        for number, cell in enumerate(code_cells(notebook), start=1)
        for place, output in enumerate(cell.outputs, start=1)
        if is_image(output)
    ]


def seal_pictures(folder: Path, names: Iterable[str] | None = None) -> None:
    """Writes down what the pictures in a folder's notebooks are: of all, or of the named ones and no others."""
    path = folder / PICTURES
    there = {notebook.stem: notebook for notebook in sorted(folder.glob("*.ipynb"))}
    chosen = set(there) if names is None else set(names)
    before = path.read_text().splitlines() if path.exists() else []
    lines = [
        line for line in before if (name := line.split("  ", 1)[1].partition(",")[0]) in there and name not in chosen
    ]
    lines += [line for name in chosen for line in pictures(name, read_notebook(there[name]))]
    path.write_text("".join(f"{line}\n" for line in sorted(lines, key=lambda line: line.split("  ", 1)[1])))


def clean(notebook: NotebookNode) -> NotebookNode:
    """Drops what differs between two runs or says nothing: times, random cell ids, the kernel's version."""
    notebook.metadata = NotebookNode(kernelspec=KERNELSPEC)
    notebook.nbformat, notebook.nbformat_minor = 4, 5
    for cell in notebook.cells:
        cell.metadata.pop("papermill", None)
        cell.metadata.pop("execution", None)
        if not cell.metadata.get("tags"):
            cell.metadata.pop("tags", None)
    return name_cells(notebook)


def name_cells(notebook: NotebookNode) -> NotebookNode:
    """Gives each cell its id, a digest of its source: adding a cell leaves the ids of the others alone."""
    seen: Counter[str] = Counter()
    for cell in notebook.cells:
        digest = hashlib.sha256(f"{cell.cell_type}\n{cell.source}".encode()).hexdigest()[:12]
        seen[digest] += 1
        cell.id = digest if seen[digest] == 1 else f"{digest}-{seen[digest]}"
    return notebook


def execute(source: Path, target: Path, parameters: dict[str, object], folder: Path) -> str | None:
    """Runs a notebook in `folder`, writes it to `target` and returns what went wrong, if anything did."""
    try:
        papermill.execute_notebook(
            source,
            target,
            parameters,
            cwd=folder,
            progress_bar=False,
            coalesce_streams=True,  # else what a cell prints is split by chance
            extra_arguments=["--log-level=CRITICAL"],  # ipykernel's remarks on its own sockets
        )
    except PapermillExecutionError as error:
        return f"code cell {error.exec_count}: {error.ename}: {error.evalue}".splitlines()[0]
    except Exception as error:  # a dead kernel, say: it must not keep the other chapters from running
        return first_line(error)
    return order_problem(read_notebook(target))


def order_problem(notebook: NotebookNode) -> str | None:
    """Whether every code cell was executed, once, from the first to the last."""
    counts = [cell.execution_count for cell in code_cells(notebook)]
    return None if counts == list(range(1, len(counts) + 1)) else ORDER
