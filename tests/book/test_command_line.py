"""The command line: one line for each problem, and a status."""

import os
import re
import subprocess
from pathlib import Path

import pytest
from small_book import TEXT, lay_out

from book import ROOT
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


def test_after_a_failure_too_each_part_of_the_checks_says_how_long_it_took(tmp_path: Path) -> None:
    make = tmp_path / "make"
    make.write_text('#!/bin/sh\nsleep 1\ntest "$2" != unit || exit 2\n')
    make.chmod(0o755)
    done = subprocess.run(
        [ROOT / ".ci" / "parts", "lint", "unit", "book"],
        env=os.environ | {"MAKE": str(make)},
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    heading, *rows = done.stdout.splitlines()
    assert heading == "== seconds by part"
    seconds, parts = zip(*(re.fullmatch(r" *(\d+)  (.+)", row).groups() for row in rows), strict=True)
    assert parts == ("lint", "unit (failed)", "together")
    assert min(map(int, seconds)) > 0
    assert int(seconds[-1]) >= int(seconds[0]) + int(seconds[1])
