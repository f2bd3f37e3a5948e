"""A long run of one seed stands beside the runs that have enough seeds, labelled, and in the place of none."""

from pathlib import Path

import pytest
from samples import made_up_record

from resnet_lib.jobs import campaign
from resnet_lib.runs import store
from resnet_lib.runs.profiles import PROFILES
from resnet_lib.runs.records import RunRecord, save_record
from resnet_lib.runs.settings import plain, resnet
from resnet_lib.runs.store import Records
from resnet_lib.show import figures, tables

SMALL, QUICK, PAPER = PROFILES.values()
NETS = (plain(20), plain(56), resnet(20), resnet(56))
LONG = "64,000 iterations, n=1"


@pytest.fixture
def records(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Records:
    """The book's: three seeds of four nets at `small` and `quick`, and then one seed of two of them at `paper`."""
    runs = [(net.at(profile, seed), 20.0) for net in NETS for profile in (SMALL, QUICK) for seed in range(3)]
    runs += [(net.at(PAPER, 0), 9.0) for net in (plain(20), resnet(20))]
    for config, error in runs:
        save_record(made_up_record(config, test_error=error, train_error=error / 2), tmp_path)
    monkeypatch.setattr(store, "committed_dir", lambda: tmp_path)
    return Records(tmp_path)


@pytest.fixture
def shown(records: Records) -> list[RunRecord]:
    return campaign.collect("degradation", settings=NETS)


def test_the_headline_stays_with_the_profile_that_has_enough_seeds(shown: list[RunRecord]) -> None:
    assert {record.config.recipe.iterations for record in shown} == {6400}


def test_the_longer_runs_are_named_with_their_n(shown: list[RunRecord], records: Records) -> None:
    (label, runs), *others = tables.longer_runs(shown, records).items()
    assert (label, others) == (LONG, [])
    assert [run.config for run in runs] == [plain(20).at(PAPER, 0), resnet(20).at(PAPER, 0)]
    save_record(made_up_record(plain(20).at(PAPER, 1)), records.folders[0])
    assert list(tables.longer_runs(shown, records)) == ["64,000 iterations, n=1 to 2"]
    assert tables.longer_runs([], records) == {}


def test_runs_on_other_images_have_none_beside_them(records: Records) -> None:
    assert tables.longer_runs(campaign.collect("degradation", "small", settings=NETS), records) == {}
    assert tables.longer_runs(campaign.collect("degradation", "paper", settings=NETS), records) == {}


def test_figure_6_has_a_row_for_them(shown: list[RunRecord], records: Records) -> None:
    figure = figures.figure6(shown, "", tables.longer_runs(shown, records))
    titles = [axes.get_title(loc="left") for axes in figure.axes]
    assert titles[:3] == ["plain", "residual", "110 and 1202 layers"]
    assert titles[3:] == [f"{title},\n{LONG}" for title in titles[:3]]
    shown_on_pages = [drawn.panel.title for drawn in figure.drawn()]
    assert shown_on_pages == [*titles[:3], f"plain, {LONG}", f"residual, {LONG}"]  # no net of the last has such a run
    above, below = figure.axes[0], figure.axes[3]
    assert {line.get_xdata()[-1] for line in above.lines if line.get_marker() != "D"} == {6400}
    assert {line.get_xdata()[-1] for line in below.lines if line.get_marker() != "D"} == {64_000}
    assert (len(above.collections), len(below.collections)) == (2, 0)  # bands over seeds; one run has none
    assert "plain-56" in " ".join(text.get_text() for text in below.texts)  # which has no such run yet
    caption = figure.get_supxlabel().replace("\n", " ")
    assert "3 seeds" in caption
    assert "1 seed" in caption


def test_figure_7_has_a_row_for_them(shown: list[RunRecord], records: Records) -> None:
    figure = figures.figure7({"CIFAR-10": shown} | tables.longer_runs(shown, records), "The message")
    assert figure.get_suptitle() == "The message"
    assert [axes.get_title(loc="left").partition(", in")[0] for axes in figure.axes[::2]] == ["CIFAR-10", LONG]
    assert [len(axes.lines) for axes in figure.axes[::2]] == [4, 2]


def test_tables_have_columns_for_them(records: Records) -> None:
    distances = tables.distances(QUICK, records).set_index("net")
    assert distances.loc["ResNet-20 A", "here minus paper (points)"] == "+11.25 (n=3)"
    assert distances.loc["ResNet-20 A", "64,000 iterations minus paper (points)"] == "+0.25 (n=1)"
    assert distances.loc["plain-56", "64,000 iterations minus paper (points)"] == "no run yet"
    beside = tables.against_paper(QUICK, records).set_index("net")
    assert beside.loc["plain-20", "test error, 64,000 iterations (%)"] == "9.00 (n=1)"
    assert beside.loc["plain-20", "training error, 64,000 iterations (%)"] == "4.50 (n=1)"
    responses = tables.figure7(QUICK, records).set_index("net")
    assert responses.loc["plain-20", "mean, 64,000 iterations"] == "1.00 (n=1)"
    assert not [name for name in tables.distances(PAPER, records).columns if "64,000" in name]  # the headline there


def test_without_longer_runs_all_is_as_before(records: Records) -> None:
    for net in (plain(20), resnet(20)):
        (records.folders[0] / f"{net.at(PAPER, 0).name}.json").unlink()
    runs = campaign.collect("degradation", settings=NETS)
    assert tables.longer_runs(runs, records) == {}
    assert len(figures.figure6(runs, "", {}).axes) == 3
    assert list(tables.figure7(QUICK, records).columns) == [
        "net",
        *(f"{what}, {whose}" for what in ("mean", "median") for whose in ("paper", "here")),
    ]
