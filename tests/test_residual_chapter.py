"""The tables and figures of chapter 3 show what the studies and records say."""

from pathlib import Path
from statistics import median

import pytest
from samples import layer_names, made_up_record, made_up_study

from resnet_lib import display
from resnet_lib.display import NO_RUN
from resnet_lib.runs.profiles import PROFILES
from resnet_lib.runs.records import Probes, RunRecord, save_study
from resnet_lib.runs.settings import Setting, plain, resnet
from resnet_lib.runs.store import Records
from resnet_lib.show import figures, tables

SMOKE = PROFILES["smoke"]
BLOCKS = ("layer1.0", "layer1.1", "layer1.2", "layer2.1", "layer2.2", "layer3.1", "layer3.2")


@pytest.fixture
def records(tmp_path: Path) -> Records:
    """Two seeds: in plain-20 deleting block i adds 10 i + 2 seed points to 20, in ResNet-20 a tenth of that."""
    for seed in (0, 1):
        for net, factor in ((plain(20), 1.0), (resnet(20), 0.1)):
            errors = {block: 20 + factor * (10 * i + 2 * seed) for i, block in enumerate(BLOCKS)}
            save_study(made_up_study("delete-block", net.at(SMOKE, seed), {"whole net": 20.0} | errors), tmp_path)
        swaps = {"whole net": 20.0, "layer1.0": 50.0 + seed}
        save_study(made_up_study("swap-blocks", plain(20).at(SMOKE, seed), swaps), tmp_path)
        grown = {label + what: 30.0 + seed for label in ("whole net", "dirac") for what in ("", ", as in training")}
        grown |= {"whole net, trained on": 25.0, "dirac, trained on": 27.0}
        save_study(made_up_study("growth", plain(20).at(SMOKE, seed), grown), tmp_path)
    return Records(tmp_path)


def test_table_of_lesions(records: Records) -> None:
    table = tables.lesions("delete-block", SMOKE, records, [plain(20), resnet(20), plain(56)])
    assert list(table["net"]) == ["plain-20", "ResNet-20 A", "plain-56"]
    assert list(table["whole net (%)"]) == ["20.00 ± 0.00 (n=2)", "20.00 ± 0.00 (n=2)", NO_RUN]
    assert list(table["median block adds (points)"])[:2] == ["31.00 ± 1.41 (n=2)", "3.10 ± 0.14 (n=2)"]
    assert list(table["worst block adds (points)"])[:2] == ["61.00 ± 1.41 (n=2)", "6.10 ± 0.14 (n=2)"]
    cheap = [100 / 7, 0.0]  # of plain-20, with seed 0 and 1: the first block adds 0 and 2 points
    assert table["blocks that add less than 1 point (%)"][0] == display.spread(cheap)
    assert table["blocks that add less than 1 point (%)"][2] == NO_RUN


def test_table_of_growth(records: Records) -> None:
    table = tables.growth(SMOKE, records)
    assert list(table["net"]) == ["plain-20", "plain-20"]
    assert list(table["new blocks"]) == [tables.GROWTH["whole net"], tables.GROWTH["dirac"]]
    assert table["with the batch's statistics (%)"][1] == "30.50 ± 0.71 (n=2)"
    assert table["after training on (%)"][1] == "27.00 ± 0.00 (n=2)"


def test_figure_of_lesions_is_drawn_from_the_studies(records: Records) -> None:
    figure = figures.lesions(SMOKE, records, (20,))
    deleted, swapped = figure.axes
    lines = {line.get_label(): line for line in deleted.lines}
    assert set(lines) == {f"{net}, {part}" for net in ("plain-20", "ResNet-20 A") for part in PARTS}
    assert list(lines["plain-20, layer2"].get_xdata()) == [5, 6]  # the fourth block changes the shape
    assert list(lines["plain-20, layer2"].get_ydata()) == [51.0, 61.0]
    assert lines["plain-20, layer1"].get_color() == figures.ORANGE != lines["ResNet-20 A, layer1"].get_color()
    assert {line.get_label() for line in swapped.lines} >= {"plain-20, whole", "plain-20, layer1"}
    assert "100 test images" in figure.get_supxlabel()
    assert "2 seeds" in figure.get_supxlabel()


PARTS = ("whole", "layer1", "layer2", "layer3")


def test_figure_of_lesions_without_studies_says_so(tmp_path: Path) -> None:
    assert NO_RUN in figures.lesions(SMOKE, Records(tmp_path), (20, 56)).get_supxlabel()


def responding(net: Setting, seed: int, first: float) -> RunRecord:
    made = made_up_record(net.at(SMOKE, seed))
    layers = layer_names(made.config.net)
    deviations = tuple(first + (i * 7) % len(layers) for i in range(len(layers)))
    probes = Probes(layer=layers, response_std=deviations, gradient_norm=deviations)
    return made.model_copy(update={"probes": probes})


def test_figure_of_responses_shows_medians_in_order_and_sorted() -> None:
    shown = [responding(plain(20), seed, first) for seed, first in enumerate((1.0, 5.0, 2.0))]
    shown += [responding(resnet(20), 0, 1.0)]
    figure = figures.responses({"Clothes": shown}, "title")
    in_order, ranked = figure.axes
    expected = [median(values) for values in zip(*(r.probes.response_std for r in shown[:3]), strict=True)]
    lines = {line.get_label(): line for line in in_order.lines}
    assert list(lines) == [plain(20).name, resnet(20).name]
    assert list(lines["plain-20"].get_ydata()) == expected
    assert list(lines["plain-20"].get_xdata()) == list(range(1, 20))
    assert list(ranked.lines[0].get_ydata()) == sorted(expected, reverse=True)
    assert lines["plain-20"].get_linestyle() != lines["ResNet-20 A"].get_linestyle()
    assert lines["plain-20"].get_color() == lines["ResNet-20 A"].get_color()


def test_the_table_of_machines_tells_runs_and_studies_apart(records: Records) -> None:
    studies = tables.studied("delete-block", SMOKE, records, [plain(20)])
    table = tables.hardware([made_up_record(study.config) for study in studies] + studies + studies)
    assert list(table["data"]) == ["fashion-mnist-mini", "fashion-mnist-mini, after the run"]
    assert list(table["runs"]) == [2, 2]
