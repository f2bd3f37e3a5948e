"""A notebook runs by itself, or what fails is said in a line."""

import sys
from pathlib import Path

import nbformat
import pytest

from book import alone


def executed(code: str, folder: Path) -> str | None:
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(code)])
    return alone._execute(nbformat.writes(notebook), folder, Path(sys.prefix))


def test_what_runs_is_no_problem(tmp_path: Path) -> None:
    code = "import os, sys\nassert sys.prefix.endswith('environment') and os.listdir() == ['notebook.ipynb']"
    assert executed(code, tmp_path) is None


def test_what_fails_is_said_in_a_line(tmp_path: Path) -> None:
    assert executed("import no_such_package", tmp_path) == "ModuleNotFoundError: No module named 'no_such_package'"


def test_what_takes_too_long_is_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By processor time, which other work beside it does not lengthen."""
    monkeypatch.setattr(alone, "LONGEST", 5)
    problem = executed("while True:\n    pass", tmp_path)
    assert problem is not None and problem.endswith("Kernel died (it may take 5 s of processor time)")
