"""Tables and figures say which runs they were made from."""

import inspect
from collections.abc import Callable, Iterable
from types import ModuleType

import pytest
from bs4 import BeautifulSoup
from samples import made_up_record, made_up_study, tiny_config

from resnet_lib import display
from resnet_lib.evidence import ledger, verdicts
from resnet_lib.runs.config import RunConfig
from resnet_lib.runs.experiments import SUITES, home
from resnet_lib.runs.profiles import PROFILES, Profile
from resnet_lib.runs.records import RunRecord, Study
from resnet_lib.runs.settings import plain
from resnet_lib.runs.store import Records
from resnet_lib.show import figures, tables

SMALL, QUICK, _ = PROFILES.values()
PLAIN_20 = plain(20).runs(SMALL)


def configs_of(records: Iterable[RunRecord | Study]) -> set[RunConfig]:
    return {record.config for record in records}


READ_FROM_RECORDS = {
    "lesions": lambda records: tables.lesions("delete-block", SMALL, records, [plain(20)]),
    "pairing": lambda records: tables.pairing(SMALL, records, [plain(20), plain(56)]),
    "together": ledger.together,
    "growth": lambda records: tables.growth(SMALL, records),
    "against_paper": lambda records: tables.against_paper(SMALL, records),
    "table6": tables.table6,
    "distances": lambda records: tables.distances(QUICK, records),
    "figure7": lambda records: tables.figure7(SMALL, records),
    "table3_scaled": tables.table3_scaled,
    "literature": tables.literature,
    "folklore": lambda records: tables.folklore(SMALL, records),
    "table": lambda records: verdicts.table(SMALL, records),
    "score": ledger.score,
    "shared": lambda records: ledger.shared(SMALL, records),
    "fallen": ledger.fallen,
    "had_it_meant_less": ledger.had_it_meant_less,
    "copying": lambda records: tables.copying(SMALL, records),
    "steps": tables.steps,
    "path_lengths": lambda records: tables.path_lengths(records, (20,)),
    "of_settings": lambda records: tables.of_settings([plain(20)], SMALL, records),
    "slowed_down": lambda records: tables.slowed_down([SMALL, QUICK], records),
    "seed_scatter": tables.seed_scatter,
    "seeds_needed": tables.seeds_needed,
    "twins": lambda records: tables.twins(SMALL, records),
    "elsewhere": lambda records: tables.elsewhere(SMALL, records),
}
LEAVES_SOME_OUT = {"seed_scatter", "seeds_needed"}  # nets that have too few seeds
NEED_IMAGES = {"parts_of_scatter", "how_often_wrong"}  # which of them each net gets wrong, as younger records know


# Of nets that others trained: no run of ours has a part in them.
OF_OTHERS = {"others_nets", "others_lesions", "others_deletions", "others_responses", "loss_plane"}


def functions_with(module: ModuleType, parameter: str, annotation: str, returned: str) -> set[str]:
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
    known = [functions_with(module, "records", "Records", "Table") for module in (tables, ledger, verdicts)]
    assert set().union(*known) - OF_OTHERS == set(READ_FROM_RECORDS)


@pytest.mark.parametrize("name", READ_FROM_RECORDS)
def test_a_table_names_all_that_it_read(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[RunRecord | Study] = []

    def noted(method: Callable[..., RunRecord | Study | None]) -> Callable[..., RunRecord | Study | None]:
        def of(self: Records, *arguments: object) -> RunRecord | Study | None:
            if (found := method(self, *arguments)) is not None:
                read.append(found)
            return found

        return of

    monkeypatch.setattr(Records, "get", noted(Records.get))
    monkeypatch.setattr(Records, "study", noted(Records.study))
    table = READ_FROM_RECORDS[name](Records.committed())
    made_from = configs_of(table.made_from)
    assert made_from < configs_of(read) if name in LEAVES_SOME_OUT else made_from == configs_of(read)
    assert made_from or name == "table3_scaled"  # of which nothing need be recorded


TAKE_RECORDS = functions_with(tables, "records", "RunRecord]", "Table") - {"recorded", "hardware"}


@pytest.mark.parametrize("name", sorted(TAKE_RECORDS))
def test_a_table_of_records_names_them(name: str) -> None:
    suite = SUITES["diagnoses" if name.startswith("diagnoses") else "degradation"]
    records = Records.committed().select(suite.runs(SMALL))
    assert configs_of(getattr(tables, name)(records).made_from) == configs_of(records)


def test_a_table_of_records_and_studies_names_the_runs() -> None:
    config, other = PLAIN_20[:2]
    table = tables.hardware([made_up_record(config), made_up_study("growth", other, {"whole net": 1.0})])
    assert configs_of(table.made_from) == {config, other}


def test_recorded_names_the_runs_of_its_nets_only() -> None:
    records = [made_up_record(setting.at(SMALL, 0)) for setting in (plain(20), plain(56))]
    assert tables.recorded([plain(20)], records).made_from == (records[0],)


DRAWN = {
    "cases": figures.cases,
    "rates": lambda records: figures.rates({"all": records}),
    "curves": lambda records: figures.curves({"a": records[:2], "b": records[2:]}),
    "figure6": figures.figure6,
    "figure7": lambda records: figures.figure7({"all": records}, ""),
    "final_errors": figures.final_errors,
    "per_layer": lambda records: figures.per_layer({"a": []}, "y", "", records),
    "settings": figures.settings,
    "how_often_wrong": lambda records: figures.how_often_wrong(records, ""),
    "parts_of_scatter": lambda records: figures.parts_of_scatter(records, ""),
}
READING = {
    "folklore": lambda records: figures.folklore(SMALL, records),
    "lesions": lambda records: figures.lesions(SMALL, records, (20,), ""),
    "seed_scatter": lambda records: figures.seed_scatter(records, ""),
    "seeds_needed": lambda records: figures.seeds_needed(records, ""),
    "twins": lambda records: figures.twins(SMALL, records, ""),
    "sums_of_steps": lambda records: figures.sums_of_steps({9: [1.0] * 9}, records, ""),
    "steps_in_training": lambda records: figures.steps_in_training(records, ""),
    "refinement": lambda records: figures.refinement(records, (20,), ""),
    "path_lengths": lambda records: figures.path_lengths(records, (20,), ""),
    "deletions": lambda records: figures.deletions(records, (20,), ""),
    "times_to_learn": lambda records: figures.times_to_learn([SMALL], records, ""),
    "resets": lambda records: figures.resets(records, ""),
    "landscape": lambda records: figures.landscape(records, (20,), ""),
}


def test_no_figure_that_shows_records_is_left_out() -> None:
    shown = {name for what in ("records", "panels") for name in functions_with(figures, what, "RunRecord]", "Figure")}
    assert shown == set(DRAWN)
    reading = functions_with(figures, "records", "Records", "Figure") - OF_OTHERS
    assert reading == {*READING, "literature"}


@pytest.mark.parametrize("name", DRAWN)
def test_a_figure_carries_the_runs_it_shows_and_so_does_the_table_of_its_numbers(name: str) -> None:
    suite = SUITES["diagnoses" if name == "cases" else "degradation"]
    records = Records.committed().select(suite.settings[0].runs(SMALL))
    figure = DRAWN[name](records)
    assert figure.made_from == figure.series().made_from == tuple(records)


@pytest.mark.parametrize("name", READING)
def test_a_figure_that_reads_records_carries_them(name: str) -> None:
    records = Records.committed()
    made_from = READING[name](records).made_from
    assert made_from
    assert configs_of(made_from) <= configs_of(records)


def test_no_runs_yet_is_said_and_a_figure_of_no_runs_says_nothing() -> None:
    assert figures.curves({"empty": []}).series().made_from == ()
    assert figures.figure4("").series().made_from is None  # the paper's, which no run of ours has a part in


def test_the_line_counts_runs_once_by_suite_and_profile() -> None:
    small, quick = PLAIN_20, plain(20).runs(QUICK)
    records = [made_up_record(config) for config in (*small, *quick, small[0])]
    line = BeautifulSoup(display.runs_line(records), "html.parser")
    assert line.text == f"{len(small)} runs on clothes, 400 steps; {len(quick)} runs on CIFAR-10, a tenth"
    assert [span["data-page"] for span in line("span")] == ["degradation-small", "degradation-quick"]
    assert line.span["data-runs"].split() == [config.digest for config in small]
    assert not line("a")  # it would lead nowhere from a notebook


def own_run(suite: str, profile: Profile = SMALL) -> RunRecord:
    """A run of which the suite is the first to make it."""
    seed = min(SUITES[suite].seeds or (0,))
    configs = (setting.at(profile, seed) for setting in SUITES[suite].settings)
    return made_up_record(next(run for run in configs if (at := home(run)) and at.suite.name == suite))


def test_runs_are_told_by_the_images_and_steps_that_they_had() -> None:
    runs = own_run("other-images"), own_run("longer-training"), own_run("table2", QUICK), own_run("features")
    assert [BeautifulSoup(display.runs_line([run]), "html.parser").text for run in runs] == [
        "1 run on digits, 400 steps",
        "1 run on clothes, 1,200 steps",
        "1 run on 25 classes of Tiny ImageNet, 1,940 steps",
        "1 run on rows of a parity rule, 1,200 steps",
    ]


def test_many_kinds_of_runs_are_folded_away_and_those_on_the_same_are_told_apart() -> None:
    records = [own_run(suite) for suite in ("degradation", "tuned", "shortcut-options", "folklore", "moved")]
    few = BeautifulSoup(display.runs_line(records[:2]), "html.parser")
    assert few.text == "1 run on clothes, 400 steps (degradation); 1 run on clothes, 400 steps (tuned)"
    assert not few("details")
    many = BeautifulSoup(display.runs_line(records), "html.parser")
    assert many.details.summary.text == "Made from 5 runs"
    assert len(many.details.select("p.runs span")) == 5


def test_digests_are_no_column_of_a_page_and_yet_change_it() -> None:
    table = display.Table({"line": ["a", "b"], "digest": ["0123", "4567"]})
    shown = BeautifulSoup(table._repr_html_(), "html.parser")
    assert [head.text for head in shown("th")] == ["line"] and "4567" not in shown.text
    assert table._repr_html_() != table.assign(digest=["0123", "4568"])._repr_html_()


def test_no_run_yet_and_runs_made_on_the_spot() -> None:
    assert display.runs_line([]) == '<p class="runs">No runs yet</p>'
    live = made_up_record(tiny_config())
    assert home(live.config) is None
    assert display.runs_line([live]) == ""


def test_a_part_of_a_table_still_names_the_runs() -> None:
    records = [made_up_record(config) for config in PLAIN_20]
    table = tables.errors(records)
    assert "10 runs on clothes, 400 steps" in table[table["net"] == "plain-20"].head(1)._repr_html_()
    assert "runs" not in display.Table({"a": [1]})._repr_html_()
