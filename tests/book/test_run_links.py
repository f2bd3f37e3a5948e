"""A built page that does not lead to the runs behind what it shows is told, and so is a run that no page lists."""

import re
from pathlib import Path

import pytest
from bs4 import BeautifulSoup
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_output
from test_run_pages import LINE, LINKED, PLAIN_20, html, records_folder

from book import run_links
from book.extensions import run_pages


def cell(source: str, kind: str, output: str = "", tags: tuple[str, ...] = ()) -> NotebookNode:
    return new_code_cell(source, outputs=[new_output("display_data", {kind: output})], metadata={"tags": list(tags)})


CELLS = [
    new_code_cell("runs = campaign.collect('degradation')"),
    cell("figure = figures.curves(runs)\nfigure", "image/png"),
    cell("explore.curves(figure)", "text/html", "<svg></svg>"),
    cell("figure.series()", "text/html", f"<table></table>{LINE}", tags=("hide-cell",)),
    cell("tables.errors(runs)", "text/html", f"<table></table>{LINE}"),
    cell("tables.table2()", "text/html", "<table></table>"),
    cell("tables.ledger(records)", "text/html", LINE, tags=("remove-output",)),
]
BELOW = f"<p class='runs'>Runs: {LINKED}</p>"
FIGURE, TABLE = f"<img>{BELOW}", f"<table></table>{BELOW}"
PAGE = "".join(
    f"<div class='cell'>{text}</div>"
    for text in ("", FIGURE, "<svg></svg>", f"<details>{TABLE}</details>", TABLE, "<table></table>", "")
)
LISTED = {"degradation-small": {"11111111", "22222222", "33333333"}}


def link_problems(page: str, listed: dict[str, set[str]], cells: list[NotebookNode] = CELLS) -> list[str]:
    return list(run_links.link_problems(cells, BeautifulSoup(page, "html.parser"), listed))


def test_a_page_whose_links_lead_to_its_runs_has_no_problem() -> None:
    assert link_problems(PAGE, LISTED) == []


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        (FIGURE, "<img>", "the runs behind what this shows: figure"),
        (f"<div class='cell'>{TABLE}", "<div class='cell'><table></table>", "what this shows: tables.errors(runs)"),
        (f"<details>{TABLE}", "<details><table></table>", "what this shows: figure.series()"),
        (f"<div class='cell'>{TABLE}", f"<div class='cell'><table></table>{LINE}", "this shows: tables.errors(runs)"),
        (FIGURE, FIGURE.replace("2 of them", "1 of them"), "the runs behind what this shows: figure"),
        (
            FIGURE,
            f"{FIGURE}<p class='runs'><a href='../runs/gone.html' data-runs='11111111'></a></p>",
            "no list of 1 of",
        ),
    ],
    ids=["figure", "table", "hidden table", "words that are no link", "other runs", "no such page"],
)
def test_a_missing_or_wrong_link_is_told(old: str, new: str, problem: str) -> None:
    assert old in PAGE
    (found,) = link_problems(PAGE.replace(old, new), LISTED)
    assert problem in found


def test_a_drawing_has_no_part_in_the_runs_of_the_figure_behind_it() -> None:
    page = PAGE.replace("<div class='cell'></div>", "<div class='cell'></div><div class='cell'><img></div>", 1)
    cells = [CELLS[0], cell("drawings.blocks()", "image/png"), *CELLS[1:]]
    assert link_problems(page, LISTED, cells) == []


@pytest.mark.parametrize("field", ["final.test_error", "probes.response_std", "test_curve.error"])
def test_a_table_of_numbers_from_records_must_say_which(field: str) -> None:
    source = f"rows = [{{'error': run.{field}}} for run in runs]\ntables.Table(rows)"
    (found,) = link_problems("<div class='cell'></div>", LISTED, [cell(source, "text/html", "<table></table>")])
    assert found == "takes numbers from records and does not say which runs they are: tables.Table(rows)"


def test_a_link_to_a_page_without_the_run_is_told() -> None:
    assert (
        link_problems(PAGE, {"degradation-small": {"11111111"}})
        == ["its link ../runs/degradation-small.html leads to no list of 1 of the runs meant"] * 3
    )


@pytest.fixture
def built(tmp_path: Path) -> tuple[Path, Path]:
    """Pages of runs as the book has them, with the records beside them, and the records they were made from."""
    folder, pages = records_folder(tmp_path / "from"), tmp_path / "html"
    (pages / "runs").mkdir(parents=True)
    (pages / "runs" / "index.html").write_text(f"<article>{run_pages.index(run_pages.collect(folder))}</article>")
    for name in run_pages.collect(folder):
        (pages / "runs" / f"{name}.html").write_text(f"<article>{html(folder, name)}</article>")
    for path in folder.rglob("*.json"):
        copied = pages / "records" / path.relative_to(folder)
        copied.parent.mkdir(parents=True, exist_ok=True)
        copied.write_bytes(path.read_bytes())
    return pages, folder


def test_whole_pages_of_runs_have_no_problem(built: tuple[Path, Path]) -> None:
    assert run_links.run_problems(*built) == []
    assert sum(map(len, run_links.listed_runs(built[0]).values())) == 4


def test_a_run_on_no_page_and_a_record_that_is_not_there_are_told(built: tuple[Path, Path]) -> None:
    pages, folder = built
    name = next((folder / "set").glob("plain-8*")).stem
    (pages / "runs" / "others.html").write_text("<article></article>")
    (pages / "records" / "set" / f"{PLAIN_20[0].name}.json").unlink()
    missing, file = run_links.run_problems(pages, folder)
    assert missing == f"no page lists the run {name}"
    assert re.fullmatch(
        r"runs/degradation-small: its link \.\./records/set/plain-20_\S+_seed0_\w+\.json leads nowhere", file
    )
