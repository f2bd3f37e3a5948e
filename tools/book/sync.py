"""From the chapters' texts to executed notebooks, executing only what may have changed."""

import hashlib
import platform
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import nbformat
from nbformat import NotebookNode

from book import BookError, clock
from book.notebooks import TIMED, code_cells, execute, order_problem, read_notebook, seal_pictures
from book.texts import chapter_texts, read_text


def sync(root: Path, names: Sequence[str] = (), fresh: bool = False) -> list[str]:
    """Executes the named chapters' texts, or all, and puts the notebooks in place; returns the problems.

    A notebook is replaced whole or not at all: that of a chapter that fails stays as it was. Executed notebooks are
    kept in build/executed under their `key`, and a chapter that has one there is not executed again, unless all is to
    be `fresh`.
    """
    notebooks, cache = root / "notebooks", root / "build" / "executed"
    notebooks.mkdir(exist_ok=True)
    cache.mkdir(parents=True, exist_ok=True)
    problems = []
    texts = chapter_texts(root)
    if unknown := set(names) - {text.stem for text in texts}:
        raise BookError(f"no chapter {', '.join(sorted(unknown))} in {root / 'chapters'}")
    wanted = [text for text in texts if not names or text.stem in names]
    chapters = {text: read_text(text) for text in wanted}  # one that cannot be read stops it here
    library = library_digest(root)
    for text, chapter in chapters.items():
        start = time.monotonic()
        target = notebooks / f"{text.stem}.ipynb"
        kept = cache / f"{text.stem}.{key(chapter, library)}.ipynb"
        done = "as executed before"
        # On the same disk as the notebook: only there is `replace` atomic.
        with tempfile.TemporaryDirectory(dir=cache, prefix=".sync-") as folder:
            plain, executed = Path(folder, "plain.ipynb"), Path(folder, "executed.ipynb")
            if fresh or with_outputs(chapter, kept) is None:
                nbformat.write(chapter, plain)
                if failure := execute(plain, executed, {}, folder=notebooks):
                    problems.append(f"{text.relative_to(root)}: {failure} (its old notebook stays)")
                    continue
                for older in cache.glob(f"{text.stem}.*.ipynb"):
                    older.unlink()
                executed.replace(kept)
                done = f"executed in {clock(time.monotonic() - start)}"
            nbformat.write(with_outputs(chapter, kept), plain)
            plain.replace(target)
        seal_pictures(notebooks, [text.stem])
        print(f"{target.relative_to(root)}: {done}", flush=True)
    return problems


def library_digest(root: Path) -> str:
    """Of all that outputs come from beside a chapter's cells: the library, its data and records, and the versions."""
    digest = hashlib.sha256(".".join(platform.python_version_tuple()[:2]).encode())
    files = [path for path in (root / "resnet_lib").rglob("*") if path.is_file() and "__pycache__" not in path.parts]
    for path in sorted([*files, *root.glob("requirements.txt")]):
        content = path.read_bytes()
        digest.update(f"{path.relative_to(root).as_posix()} {len(content)}\n".encode() + content)
    return digest.hexdigest()


def key(chapter: NotebookNode, library: str) -> str:
    """Changes when the outputs of a chapter's cells might; its prose does not count."""
    cells = [(cell.source, cell.metadata) for cell in code_cells(chapter)]
    return hashlib.sha256(f"{library} {cells}".encode()).hexdigest()[:16]


def with_outputs(chapter: NotebookNode, executed: Path) -> NotebookNode | None:
    """The chapter with the outputs of an executed notebook, or None if there is none of just these cells."""
    try:
        notebook = read_notebook(executed)
    except BookError:
        return None
    ours, theirs = code_cells(chapter), code_cells(notebook)
    if [cell.source for cell in ours] != [cell.source for cell in theirs] or order_problem(notebook):
        return None
    for mine, other in zip(ours, theirs, strict=True):
        mine.outputs = [] if TIMED in mine.metadata.get("tags", []) else other.outputs
        mine.execution_count = other.execution_count
    return chapter
