"""Slides, sheet and lab are there and say what the book says, and the lab tells right answers from wrong ones."""

import re
import shutil
from pathlib import Path

import nbformat
import pytest
from bs4 import BeautifulSoup

from book import ROOT, BookError, classroom
from book import __main__ as command_line
from book.classroom import FOLDER, LABS, labs, showable, slides
from book.extensions.classroom import PARTS, minutes, named, places, times
from book.notebooks import code_cells, execute, read_notebook
from resnet_lib.errors import UserError
from resnet_lib.evidence.claims import CLAIMS
from resnet_lib.evidence.facts import FACTS
from resnet_lib.runs.store import Records
from resnet_lib.show import lab, toys

LESSONS = sorted((ROOT / FOLDER).glob("lesson_*.md"))


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the one command writes, from a copy of the texts."""
    root = tmp_path_factory.mktemp("book")
    for folder in (FOLDER, "notebooks"):
        shutil.copytree(ROOT / folder, root / folder)
    shutil.copy(ROOT / "_config.yml", root)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(command_line, "ROOT", root)
        assert command_line.main(["slides"]) == 0
    return root / "build" / FOLDER


def page(path: Path) -> BeautifulSoup:
    return BeautifulSoup(path.read_text(encoding="utf-8"), "html.parser")


def test_one_command_builds_slides_sheet_and_lab(built: Path) -> None:
    names = {f"{text.stem}.html" for text in LESSONS} | {"predictions.html", "lab.ipynb", "lab_solutions.ipynb"}
    assert {path.name for path in built.iterdir()} == names and len(LESSONS) == 2


@pytest.mark.parametrize("text", LESSONS, ids=lambda text: text.stem)
def test_a_lesson_shows_the_figures_and_verdicts_that_its_text_names(built: Path, text: Path) -> None:
    source, lesson = text.read_text(), page(built / f"{text.stem}.html")
    assert len(lesson.select("section")) == source.count("\n---\n") + 1
    assert all(slide.find(["h1", "h2"]) and slide.blockquote for slide in lesson.select("section"))
    asked = re.findall(r"^\{\{ (.+) \}\}$", source, re.MULTILINE)
    figures = [name for name in asked if name.startswith(("fig-", "tab-"))]
    assert len(lesson.select(".shown svg, .shown table.dataframe")) >= len(figures) > 3
    for name in set(asked) - set(figures):
        assert (CLAIMS | FACTS)[name].statement in lesson.text
    assert all(panels["aria-label"] for panels in lesson.select(".panels"))
    assert "{{" not in lesson.text


@pytest.mark.parametrize("text", LESSONS, ids=lambda text: text.stem)
def test_a_lesson_takes_90_minutes(text: Path) -> None:
    assert sum(map(int, re.findall(r"^> (\d+) min\.", text.read_text(), re.MULTILINE))) == 90


def test_nothing_for_a_classroom_needs_a_network(built: Path) -> None:
    for path in built.glob("*.html"):
        assert not page(path).select("[src], link[href]")


def test_a_slide_that_asks_for_what_nobody_shows_is_named(tmp_path: Path) -> None:
    text = tmp_path / "lesson.md"
    text.write_text("# A lesson\n\n{{ fig-nowhere }}\n")
    with pytest.raises(BookError, match="no chapter shows fig-nowhere"):
        slides(ROOT, text, Records())


def test_the_sheet_has_ten_claims_and_their_answers_on_a_second_page(built: Path) -> None:
    claims, answers = page(built / "predictions.html").select("section")
    statements = [entry.statement for entry, *_ in toys.to_guess(Records.committed())]
    for part in (claims, answers):
        assert [item.p.contents[0].strip() for item in part.select("li")] == statements
    assert len(statements) == 10
    assert not re.search("supported|refuted", claims.text) and "supported" in answers.text


# ------------------------------------------------------------------------------------------------------------- the lab


def test_the_committed_lab_is_what_its_text_gives() -> None:
    for name, notebook in labs(ROOT).items():
        assert read_notebook(ROOT / FOLDER / f"{name}.ipynb") == notebook, "run `make slides`"


def test_the_lab_has_gaps_and_its_solutions_have_none() -> None:
    gaps = {name: sum("= ..." in cell.source for cell in code_cells(notebook)) for name, notebook in labs(ROOT).items()}
    assert gaps == {"lab": len(lab.EXERCISES), "lab_solutions": 0} and set(gaps) == set(LABS)


def test_the_lab_runs_and_its_solutions_are_right(tmp_path: Path) -> None:
    notebook = labs(ROOT)["lab_solutions"]
    (trains,) = (cell for cell in code_cells(notebook) if "training.train(" in cell.source)
    trains.source = trains.source.replace(".at(", ".with_recipe(iterations=10, milestones=[8]).at(")  # in a second
    nbformat.write(notebook, tmp_path / "in.ipynb")
    assert execute(tmp_path / "in.ipynb", tmp_path / "out.ipynb", {}, tmp_path) is None
    asking = [cell for cell in code_cells(read_notebook(tmp_path / "out.ipynb")) if "lab.check(" in cell.source]
    assert len(asking) == len(lab.EXERCISES)
    assert all(cell.outputs[0].data["text/markdown"].startswith("**Right.**") for cell in asking)


@pytest.mark.parametrize("exercise", lab.EXERCISES)
def test_a_gap_is_no_answer(exercise: str) -> None:
    assert lab.check(exercise, ...).startswith("**Not answered yet.**")


@pytest.mark.parametrize(
    ("exercise", "wrong"),
    [
        ("ailment", "overfitting"),
        ("ailment", 3),
        ("weights", 64),
        ("residual", lambda F, x: F(x)),
        ("residual", lambda F, x: x / 0),
        ("residual", lambda F, x: x),
        ("copy", [[0, 0, 0], [1, 0, 0], [0, 0, 0]]),
        ("copy", [[1, 1, 1], [1, 1, 1], [1, 1, 1]]),
        ("copy", "a kernel"),
    ],
)
def test_a_wrong_answer_is_called_wrong_and_gets_a_hint(exercise: str, wrong: object) -> None:
    text = lab.check(exercise, wrong)
    assert text.startswith("**Wrong.**") and lab.EXERCISES[exercise].hint in text


def test_an_unknown_exercise_is_answered_with_the_nearest() -> None:
    with pytest.raises(UserError, match="no exercise is called 'wieghts'; did you mean weights"):
        lab.check("wieghts", 0)


# ------------------------------------------------------------------------------------------- what chapters are about


def test_sources_name_the_parts_of_the_paper() -> None:
    assert [*named("paper, sections 4.1 and 4.2, Table 3; reading note 6")] == ["section 4.1", "section 4.2", "Table 3"]
    assert [*named("section 3.1; Goyal et al. 2017, section 5.1")] == ["section 3.1"]
    assert [*named("1603.05027, section 3.1")] == []


def test_every_part_of_the_paper_but_detection_has_its_chapters() -> None:
    missing = [part.lower() for part, where in places(ROOT) if where == "not in this book"]
    assert missing == ["section 2", "section 4.3", "table 7", "table 8"]
    assert len(places(ROOT)) == len(PARTS)
    where = dict(places(ROOT))
    assert where["Figure 1"] == "chapter 1" and "chapter 9" in where["Table 4"] and "chapter 8" in where["Table 6"]


def test_every_numbered_chapter_has_its_minutes() -> None:
    rows = times(ROOT)
    assert [int(row[0].split()[0]) for row in rows] == list(range(1, len(rows) + 1)) and len(rows) > 10
    assert all(5 <= int(row[1]) <= 60 for row in rows)
    exercise = ":::{exercise}\n:label: ex-one\n:::\n"
    assert minutes("word " * 900 + exercise) == 10 and minutes("word " * 1100 + 2 * exercise) == 20


def test_a_figure_is_found_by_its_name_without_its_runs() -> None:
    shown = showable(ROOT)
    assert 'role="img"' in shown["fig-plain-20-56"] and "<svg" in shown["fig-plain-20-56"]
    assert "Runs:" not in shown["tab-growth"] and "<table" in shown["tab-growth"]
    assert len(shown) > 40 and classroom.SHOWN.search("<p>{{ fig-plain-20-56 }}</p>")
