"""Reproducing executes every chapter, goes on after a failure, and says how far it is."""

import re
from pathlib import Path

import nbformat
import pytest
from small_book import COUNTING, FAILING, PARAMETERS, lay_out

from book import ROOT
from book.checks import output_text
from book.notebooks import code_cells, execute, read_notebook
from book.reproduce import reproduce, seconds_before, time_left
from book.sync import sync
from book.texts import read_text


def test_a_run_of_fewer_cells_than_the_text_has_is_told(tmp_path: Path) -> None:
    root = lay_out(tmp_path, one=PARAMETERS)
    assert sync(root) == []
    (root / "chapters" / "one.md").write_text(COUNTING)
    (problem,) = reproduce(root, tmp_path / "out", "small")
    assert problem == "one: 2 cells ran, but its text has 3: run `make notebooks`"


def test_it_goes_on_after_a_failure_and_lets_the_library_speak(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    speak = """
```{code-cell} ipython3
import os
with open(os.environ["RESNET_LIB_PROGRESS"], "a") as file:
    print("training", profile, retrain, file=file)
```
"""
    root = lay_out(
        tmp_path, dead=FAILING.replace("1 / 0", "import os\nos._exit(1)"), one=FAILING, two=PARAMETERS + speak
    )
    for name in ("dead", "one", "two"):
        nbformat.write(read_text(root / "chapters" / f"{name}.md"), root / "notebooks" / f"{name}.ipynb")
    out = tmp_path / "out"

    dead, one = reproduce(root, out, "small")
    assert dead == "dead: DeadKernelError: Kernel died"
    assert one == "one: code cell 4: ZeroDivisionError: division by zero"
    printed = capsys.readouterr().out
    assert "[1/3] dead, time left not known yet" in printed
    assert re.search(r"\[3/3\] two, about 0:0\d left\n    training small True\n\[3/3\] two done after 0:0", printed)
    assert "1 of 3 notebooks ran" in printed

    assert seconds_before(out / "two.ipynb", {"profile": "small", "retrain": True}) > 0
    assert seconds_before(out / "two.ipynb", {"profile": "paper", "retrain": True}) is None
    assert seconds_before(out / "one.ipynb", {"profile": "small", "retrain": True}) is None, "it failed"
    assert seconds_before(out / "three.ipynb", {}) is None


def test_time_left() -> None:
    assert time_left([None, 5.0], []) == "time left not known yet"
    assert time_left([None, 5.0], [60.0, 70.0]) == "about 1:10 left"
    assert time_left([3600.0, 5.0], []) == "about 1:00:05 left"


@pytest.mark.fault("notebook run from another folder")
def test_a_notebook_gives_the_same_in_any_folder(tmp_path: Path) -> None:
    source, folder = ROOT / "notebooks" / "13_ledger.ipynb", tmp_path / "elsewhere"
    folder.mkdir()
    assert execute(source, tmp_path / "executed.ipynb", {}, folder=folder) is None
    there, here = (
        [[output_text(output) for output in cell.outputs] for cell in code_cells(read_notebook(path))]
        for path in (tmp_path / "executed.ipynb", source)
    )
    there.remove([])  # papermill's cell of parameters
    assert [cell for cell in there if cell] == [cell for cell in here if cell]
    assert not list(folder.iterdir()), "it left something behind"
