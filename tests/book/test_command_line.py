"""The command line: one line for each problem, and a status."""

from pathlib import Path

import pytest
from small_book import TEXT, lay_out

from book import __main__ as command_line


def test_a_mistake_gets_one_line_and_status_2(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(command_line, "ROOT", tmp_path)
    assert command_line.main(["check"]) == 2
    assert capsys.readouterr().err.count("\n") == 1
    with pytest.raises(SystemExit, match="2"):
        command_line.main(["bake"])


def test_a_problem_gets_one_line_and_status_1(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(command_line, "ROOT", lay_out(tmp_path, one=TEXT))
    assert command_line.main(["check"]) == 1
    assert capsys.readouterr().err.endswith("check: chapters/one.md has no notebook\n")
