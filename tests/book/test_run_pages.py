"""Tables and figures say which runs they were made from, and the book has a page that lists each of them."""

import inspect
import re
from pathlib import Path
from types import SimpleNamespace

import pytest
from bs4 import BeautifulSoup
from docutils import nodes
from docutils.utils import new_document
from nbformat.v4 import new_code_cell, new_output
from samples import made_up_record, made_up_study, tiny_config

from book.extensions import run_pages
from book.extensions.numbered_tables import NumberedTable
from resnet_lib import display
from resnet_lib.evidence import ledger
from resnet_lib.runs.config import RunConfig
from resnet_lib.runs.experiments import SUITES, home, unnormalised
from resnet_lib.runs.profiles import PROFILES
from resnet_lib.runs.records import RunRecord, Study, save_record, save_study
from resnet_lib.runs.settings import plain
from resnet_lib.runs.store import Records, committed_dir
from resnet_lib.show import figures, tables

SMOKE, QUICK, _ = PROFILES.values()
PLAIN_20 = plain(20).runs(SMOKE)


def configs_of(records) -> set[RunConfig]:
    return {record.config for record in records}


# ------------------------------------------------------------------------------------------------- where runs are named


READ_FROM_RECORDS = {
    "lesions": lambda records: tables.lesions("delete-block", SMOKE, records, [plain(20)]),
    "growth": lambda records: tables.growth(SMOKE, records),
    "against_paper": lambda records: tables.against_paper(SMOKE, records),
    "table6": tables.table6,
    "distances": lambda records: tables.distances(QUICK, records),
    "figure7": lambda records: tables.figure7(SMOKE, records),
    "table3_scaled": tables.table3_scaled,
    "ledger": lambda records: tables.ledger(records, ["degradation"]),
    "folklore": lambda records: tables.folklore(SMOKE, records),
    "verdict_table": lambda records: tables.verdict_table(SMOKE, records),
    "score": ledger.score,
}


def functions_with(module, parameter: str, annotation: str, returned: str) -> set[str]:
    """The functions of a module with such a parameter, that return such a thing."""
    found = set()
    for name, function in inspect.getmembers(module, inspect.isfunction):
        signature = inspect.signature(function)
        told = {key: inspect.formatannotation(p.annotation) for key, p in signature.parameters.items()}
        fits = annotation in told.get(parameter, "") and returned in inspect.formatannotation(
            signature.return_annotation
        )
        if fits and function.__module__.startswith(module.__name__):
            found.add(name)
    return found


def test_no_table_that_reads_records_is_left_out() -> None:
    known = functions_with(tables, "records", "Records", "Table") | functions_with(
        ledger, "records", "Records", "Table"
    )
    assert known == set(READ_FROM_RECORDS)


@pytest.mark.parametrize("name", READ_FROM_RECORDS)
def test_a_table_names_all_that_it_read(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[RunRecord | Study] = []

    def noted(method):
        def of(self, *arguments):
            if (found := method(self, *arguments)) is not None:
                read.append(found)
            return found

        return of

    monkeypatch.setattr(Records, "get", noted(Records.get))
    monkeypatch.setattr(Records, "study", noted(Records.study))
    table = READ_FROM_RECORDS[name](Records.committed())
    assert configs_of(table.made_from) == configs_of(read)
    assert read or name == "table3_scaled"  # of which nothing need be recorded


TAKE_RECORDS = functions_with(tables, "records", "RunRecord]", "Table") - {"recorded", "hardware"}


@pytest.mark.parametrize("name", sorted(TAKE_RECORDS))
def test_a_table_of_records_names_them(name: str) -> None:
    suite = SUITES["diagnoses" if name == "diagnoses" else "degradation"]
    records = Records.committed().select(suite.runs(SMOKE))
    assert configs_of(getattr(tables, name)(records).made_from) == configs_of(records)


def test_a_table_of_records_and_studies_names_the_runs() -> None:
    config, other = PLAIN_20[:2]
    table = tables.hardware([made_up_record(config), made_up_study("growth", other, {"whole net": 1.0})])
    assert configs_of(table.made_from) == {config, other}


def test_recorded_names_the_runs_of_its_nets_only() -> None:
    records = [made_up_record(setting.at(SMOKE, 0)) for setting in (plain(20), plain(56))]
    assert tables.recorded([plain(20)], records).made_from == (records[0],)


def test_a_figure_hands_its_runs_to_its_table() -> None:
    records = Records.committed().select(PLAIN_20)
    for figure in (figures.curves({"a": records[:2], "b": records[2:]}), figures.settings(records)):
        assert figures.series(figure).made_from == tuple(records)
    assert figures.series(figures.curves({"empty": []})).made_from == ()
    assert figures.series(figures.figure4()).made_from is None  # the paper's, which no run of ours has a part in


def test_the_line_counts_runs_once_by_suite_and_profile() -> None:
    smoke, quick = PLAIN_20, plain(20).runs(QUICK)
    records = [made_up_record(config) for config in (*smoke, *quick, smoke[0])]
    line = BeautifulSoup(display.runs_line(records), "html.parser")
    assert line.text == f"Runs: {len(smoke)} of degradation, smoke; {len(quick)} of degradation, quick"
    assert [span["data-page"] for span in line("span")] == ["degradation-smoke", "degradation-quick"]
    assert line.span["data-runs"].split() == [config.digest for config in smoke]
    assert not line("a")  # it would lead nowhere from a notebook


def test_no_run_yet_and_runs_made_on_the_spot() -> None:
    assert display.runs_line([]) == '<p class="runs">Runs: none yet</p>'
    live = made_up_record(tiny_config())
    assert home(live.config) is None
    assert display.runs_line([live]) == ""


def test_a_part_of_a_table_still_names_the_runs() -> None:
    records = [made_up_record(config) for config in PLAIN_20]
    table = tables.errors(records)
    assert "5 of degradation, smoke" in table[table["net"] == "plain-20"].head(1)._repr_html_()
    assert "Runs" not in display.Table({"a": [1]})._repr_html_()


# ------------------------------------------------------------------------------------------------------------ the pages


def test_each_committed_record_is_on_one_page() -> None:
    pages = run_pages.collect(committed_dir())
    paths = [path for runs in pages.values() for path in runs]
    assert sorted(paths) == sorted(
        path.relative_to(committed_dir()) for path in committed_dir().rglob("*.json") if path.parent.name != "studies"
    )
    assert len(pages) > 10


def records_folder(folder: Path) -> Path:
    """Two seeds of a net, one with a study, a diverged run, and a run of no suite."""
    first, second = PLAIN_20[:2]
    without = unnormalised(plain(20), 0.1).at(SMOKE, 0)
    for config, error in ((first, 12.5), (second, 0.0), (tiny_config(), 40.0)):
        save_record(made_up_record(config, train_error=error, test_error=error), folder / "set")
    lost = made_up_record(without)
    curves = {
        "train_curve": {name: column[:1] for name, column in lost.train_curve},
        "test_curve": {name: column[:1] for name, column in lost.test_curve},
    }
    told = lost.model_dump() | curves | {"diverged_at": curves["train_curve"]["iteration"][0], "probes": None}
    told["final"] |= {"test_error": lost.test_curve.error[0]}
    save_record(RunRecord.model_validate(told), folder / "set")
    save_study(made_up_study("growth", first, {"whole net": 1.0}), folder)
    return folder


def html(folder: Path, name: str) -> BeautifulSoup:
    text = run_pages.page(name, run_pages.collect(folder)[name], run_pages.collect_studies(folder))
    return BeautifulSoup(text, "html.parser")


def test_a_page_says_of_each_run_what_its_record_does(tmp_path: Path) -> None:
    folder = records_folder(tmp_path)
    assert list(run_pages.collect(folder)) == ["degradation-smoke", "batch-norm-smoke", "others"]
    page = html(folder, "degradation-smoke")
    assert page.h1.text == "Runs: degradation, smoke"
    assert [heading.text for heading in page("h2")] == ["plain-20"]
    assert (
        "depth 20" in page.text
        and "milestones [150]" in page.text
        and "seed 0" not in page.select_one(".settings").text
    )
    first, second = page.select("tbody tr")
    config = PLAIN_20[0]
    assert first["id"] == f"run-{config.digest}"
    cells = [cell.text for cell in first(["th", "td"])]
    assert cells[:3] == ["0", "12.50", "12.50"]
    assert cells[4:] == ["made up, 1 thread, fp32", "torch 2.13.0, 2026-01-01, 1 s", "record, growth"]
    assert [link["href"] for link in first("a")] == [
        f"../records/set/{config.name}.json",
        f"../records/studies/growth_{config.name}.json",
    ]
    assert [cell.text for cell in second(["th", "td"])][:3] == ["1", "0.00", "0.00"]
    assert "diverged at iteration 100" in html(folder, "batch-norm-smoke").text
    assert html(folder, "others").h1.text == "Runs of no suite"


def test_a_curve_is_drawn_to_scale() -> None:
    record = made_up_record(tiny_config(), train_error=39.0, test_error=0.0, halfway=80.0, best=40.0)
    drawing = BeautifulSoup(run_pages.drawing(record, 80.0, "a net"), "html.parser").svg
    train, test = (line["points"] for line in drawing("polyline"))
    assert train == "80.0,2.0 160.0,24.0"  # from the top, 80, to 40, in the middle
    assert test == "80.0,24.0 160.0,46.0"
    assert drawing["aria-label"].startswith("a net: test error 40.0% after 6 iterations, lowest 0.0%, last 0.0%")


def test_a_curve_of_one_point_and_one_of_zeros_are_drawn(tmp_path: Path) -> None:
    points = html(records_folder(tmp_path), "batch-norm-smoke").polyline["points"].split()
    assert len(points) == 2 and points[0] == points[1]
    nothing = made_up_record(tiny_config(), train_error=0.0, test_error=0.0, halfway=0.0, best=0.0)
    assert "nan" not in run_pages.drawing(nothing, 0.0, "a net")


def test_pages_can_be_read_aloud() -> None:
    folder = committed_dir()
    studies = run_pages.collect_studies(folder)
    for name, runs in run_pages.collect(folder).items():
        page = BeautifulSoup(run_pages.page(name, runs, studies), "html.parser")
        assert len(page("h1")) == 1
        assert all(head.text for head in page("th"))
        labels = [link["aria-label"] for link in page.select("td a")] + [svg["aria-label"] for svg in page("svg")]
        assert len(set(labels)) == len(labels), name
        assert all(link["aria-label"].startswith(link.text) for link in page.select("td a"))


# -------------------------------------------------------------------------------------------------- as part of the book

LINE = '<p class="runs">Runs: <span data-page="degradation-smoke" data-runs="11111111 22222222">2 of them</span></p>'
LINKED = '<a href="../runs/degradation-smoke.html" data-runs="11111111 22222222">2 of them</a>'
BUILDER = SimpleNamespace(name="html", get_relative_uri=lambda _page, target: f"../{target}.html")


def doctree(*parts: nodes.Node) -> nodes.document:
    document = new_document("page")
    document += parts
    return document


def raw(text: str) -> nodes.raw:
    return nodes.raw("", text, format="html")


def test_words_become_links_and_a_figure_gets_those_of_its_table() -> None:
    mine, other = nodes.figure(), nodes.figure()
    document = doctree(
        mine, raw("<svg></svg>"), raw(f"<table></table>{LINE}"), other, raw("<table></table>"), raw(LINE)
    )
    run_pages.link(SimpleNamespace(builder=BUILDER), document, "notebooks/one")
    assert LINKED in mine.astext()
    assert not other.astext()  # of which no run is told
    assert document.astext().count(LINKED) == 3


def test_a_numbered_table_is_not_told_of_its_runs_twice() -> None:
    table = NumberedTable("", raw(f"<table></table>{LINE}"))
    run_pages.link(SimpleNamespace(builder=BUILDER), doctree(table), "notebooks/one")
    assert table.astext().count(LINKED) == 1


def test_the_single_page_keeps_the_words() -> None:
    figure = nodes.figure()
    document = doctree(figure, raw(f"<table></table>{LINE}"))
    run_pages.link(SimpleNamespace(builder=SimpleNamespace(name="singlehtml")), document, "notebooks/one")
    assert figure.astext() == LINE
    assert document.astext().count(LINE) == 2


# ----------------------------------------------------------------------------------------------------------- the checks


@pytest.mark.parametrize(
    ("source", "shown"),
    [
        ("records = Records.committed()\nrecords", True),
        ("runs = campaign.collect('degradation')\nfigures.curves({'': [r for r in runs]})", True),
        ("rows = []\nfor run in campaign.collect('x'):\n    rows.append(run.seed)\ntables.Table(rows)", True),
        ("panels = {}\npanels['a'] = campaign.collect('x')\nfigures.curves(panels)", True),
        ("runs = campaign.collect('x')\nruns = [1, 2]\ntables.Table(runs)", False),
        ("runs = [run for run in campaign.collect('x')]\nrun = 1\ntables.Table(run)", False),
        ("figure = campaign.collect('x')\nfigure = figures.figure4()\nfigure", False),
        ("runs = campaign.collect('x')", False),
        ("tables.table2()", False),
    ],
)
def test_where_runs_go_is_followed(source: str, shown: bool) -> None:
    assert list(run_pages.shows_runs([new_code_cell(source)])) == [shown]


def cell(source: str, kind: str, output: str = "", **metadata: object):
    return new_code_cell(source, outputs=[new_output("display_data", {kind: output})], metadata=metadata)


CELLS = [
    new_code_cell("runs = campaign.collect('degradation')"),
    cell("figures.curves(runs)", "image/png"),
    cell("tables.errors(runs)", "text/html", "<table>"),
    cell("tables.table2()", "text/html", "<table>"),
]
PAGE = "<div class='cell'></div>" + "".join(
    f"<div class='cell'>{text}</div>"
    for text in (
        f"<img><p class='runs'>{LINKED}</p>",
        f"<details><table></table><p class='runs'>{LINKED}</p></details>",
        "<table></table>",
    )
)
LISTED = {"degradation-smoke": {"11111111", "22222222", "33333333"}}


def link_problems(page: str, listed: dict[str, set[str]]) -> list[str]:
    return list(run_pages.link_problems(CELLS, BeautifulSoup(page, "html.parser"), listed))


def test_a_page_whose_links_lead_to_its_runs_has_no_problem() -> None:
    assert link_problems(PAGE, LISTED) == []


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        (f"<img><p class='runs'>{LINKED}</p>", "<img>", "the runs behind what this shows: figures.curves(runs)"),
        (
            f"<table></table><p class='runs'>{LINKED}</p>",
            "<table></table>",
            "the runs behind what this shows: tables.errors(runs)",
        ),
        (
            "<img>",
            "<img><p class='runs'><a href='../runs/gone.html' data-runs='11111111'></a></p>",
            "no list of 1 of the",
        ),
    ],
)
def test_a_missing_or_wrong_link_is_told(old: str, new: str, problem: str) -> None:
    (found,) = link_problems(PAGE.replace(old, new), LISTED)
    assert problem in found


def test_a_link_to_a_page_without_the_run_is_told() -> None:
    assert (
        link_problems(PAGE, {"degradation-smoke": {"11111111"}})
        == ["its link ../runs/degradation-smoke.html leads to no list of 1 of the runs meant"] * 2
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
    assert run_pages.problems(*built) == []
    assert sum(map(len, run_pages.listed(built[0]).values())) == 4


def test_a_run_on_no_page_and_a_record_that_is_not_there_are_told(built: tuple[Path, Path]) -> None:
    pages, folder = built
    name = next((folder / "set").glob("plain-8*")).stem
    (pages / "runs" / "others.html").write_text("<article></article>")
    (pages / "records" / "set" / f"{PLAIN_20[0].name}.json").unlink()
    missing, file = run_pages.problems(pages, folder)
    assert missing == f"no page lists the run {name}"
    assert re.fullmatch(
        r"runs/degradation-smoke: its link \.\./records/set/plain-20_\S+_seed0_\w+\.json leads nowhere", file
    )
