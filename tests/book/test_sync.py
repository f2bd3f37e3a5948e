"""Notebooks are made of texts whole or not at all, and anew only where something changed."""

import shutil
import textwrap
from pathlib import Path

import nbformat
from small_book import COUNTING, FAILING, PARAMETERS, lay_out, own_cells

from book import ROOT
from book.checks import check
from book.notebooks import ORDER, read_notebook
from book.reproduce import reproduce
from book.sync import sync
from book.texts import contents, read_text


def test_sync_gives_the_same_bytes_twice_and_keeps_the_notebook_of_a_failing_chapter(tmp_path: Path) -> None:
    prints_twice = """
```{code-cell} ipython3
import time
print(profile, flush=True)
time.sleep(0.3)
print(retrain)
```
"""
    measures = """
```{code-cell} ipython3
:tags: [measures-time]

time.monotonic_ns()
```
"""
    root = lay_out(tmp_path, one=PARAMETERS + prints_twice + prints_twice + measures, two=FAILING)
    one, two = root / "notebooks" / "one.ipynb", root / "notebooks" / "two.ipynb"
    two.write_text("as it was")
    assert sync(root) == ["chapters/two.md: code cell 3: ZeroDivisionError: division by zero (its old notebook stays)"]
    first = one.read_bytes()
    sync(root, fresh=True)
    assert one.read_bytes() == first
    assert two.read_text() == "as it was"
    assert sorted(path.name for path in one.parent.iterdir()) == ["PICTURES.sha256", "one.ipynb", "two.ipynb"]

    notebook = read_notebook(one)
    outputs = [[output.text for output in cell.outputs] for cell in own_cells(notebook)]
    assert outputs == [[], ["best\nFalse\n"], ["best\nFalse\n"], []]
    assert len({cell.id for cell in notebook.cells}) == 6


def test_a_chapter_is_executed_again_when_its_cells_or_what_they_use_changed(tmp_path: Path) -> None:
    root = lay_out(tmp_path, one=COUNTING)
    (root / "resnet_lib" / "records").mkdir(parents=True)
    (root / "requirements.txt").write_text("torch==2\n")
    text, notebook = root / "chapters" / "one.md", root / "notebooks" / "one.ipynb"

    def runs_after_sync(**options: bool) -> int:
        assert sync(root, **options) == []
        assert check(root) == []
        shown = int(own_cells(read_notebook(notebook))[1].outputs[0].text)
        assert shown == len((root / "notebooks" / "runs").read_text().splitlines())
        return shown

    def edit(path: Path, content: str) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)

    assert runs_after_sync() == 1
    notebook.unlink()
    edit(text, COUNTING.replace("# A chapter", "# A chapter of other prose"))
    edit(root / "resnet_lib" / "__pycache__" / "x.pyc", "")
    assert runs_after_sync() == 1
    assert "other prose" in notebook.read_text()
    changes = [
        (text, COUNTING.replace("print(len", "print( len")),
        (root / "resnet_lib" / "new.py", ""),
        (root / "resnet_lib" / "new.py", "x = 1"),
        (root / "resnet_lib" / "records" / "one.json", "{}"),
        (root / "requirements.txt", "torch==3\n"),
    ]
    for count, (path, content) in enumerate(changes, start=2):
        edit(path, content)
        assert runs_after_sync() == count, path
    assert runs_after_sync() == count
    assert runs_after_sync(fresh=True) == count + 1
    (kept,) = (root / "build" / "executed").iterdir()
    kept.write_bytes(kept.read_bytes()[:100])
    assert runs_after_sync() == count + 2, "half a file is not taken for whole"

    reproduce(root, tmp_path / "out", "small")
    assert (tmp_path / "out" / "runs").exists(), "reproducing is running"


def test_a_cell_that_is_passed_over_is_told(tmp_path: Path) -> None:
    skipped = COUNTING.replace("ipython3\nwith", "ipython3\n:tags: [skip-execution]\n\nwith")
    root = lay_out(tmp_path, one=skipped)
    assert sync(root) == [f"chapters/one.md: {ORDER} (its old notebook stays)"]
    nbformat.write(read_text(root / "chapters" / "one.md"), root / "notebooks" / "one.ipynb")
    assert reproduce(root, tmp_path / "out", "small") == [f"one: {ORDER}"]


def test_a_chapter_is_added_and_removed_as_contributing_says(tmp_path: Path) -> None:
    for name in ("_toc.yml", "_config.yml"):
        shutil.copy(ROOT / name, tmp_path)
    for name in ("chapters", "notebooks"):
        shutil.copytree(ROOT / name, tmp_path / name)
    toc, before = tmp_path / "_toc.yml", contents(tmp_path)
    steps = (ROOT / "CONTRIBUTING.md").read_text().partition("## Adding a chapter\n")[2]
    text = tmp_path / "chapters" / "99_walk.md"
    text.write_text(textwrap.dedent(steps.partition("   ````md\n")[2].partition("   ````\n")[0]))
    assert check(tmp_path) == ["chapters/99_walk.md has no notebook"]
    assert sync(tmp_path, ["99_walk"]) == []
    assert check(tmp_path) == ["notebooks/99_walk.ipynb is not in _toc.yml"]
    listed = toc.read_text()
    toc.write_text(f"{listed.rstrip()}\n      - file: notebooks/99_walk.ipynb\n")
    assert check(tmp_path) == []
    after = contents(tmp_path)
    assert (after.pages, after.figures) == (before.pages + 1, before.figures + 1)
    assert after.cells == before.cells | {"99_walk": 4}

    text.unlink()
    (tmp_path / "notebooks" / "99_walk.ipynb").unlink()
    toc.write_text(listed)
    assert check(tmp_path) == []
    assert contents(tmp_path) == before
