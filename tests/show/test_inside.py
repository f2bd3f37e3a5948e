"""Tables and figures of nets looked into show what the studies, the records and a live measurement say."""

from pathlib import Path
from statistics import median

import pytest
from matplotlib.colors import same_color
from samples import batch, layer_names, made_up_record, made_up_study, started, tiny_config

from resnet_lib.display import NO_RUN, spread, two_digits
from resnet_lib.nets import probes
from resnet_lib.runs.profiles import PROFILES
from resnet_lib.runs.records import Probes, RunRecord, save_study
from resnet_lib.runs.settings import Setting, plain, resnet
from resnet_lib.runs.store import Records
from resnet_lib.show import figures, tables
from resnet_lib.show.figures.canvas import ORANGE, depth_color

SMALL = PROFILES["small"]
BLOCKS = ("layer1.0", "layer1.1", "layer1.2", "layer2.1", "layer2.2", "layer3.1", "layer3.2")


@pytest.fixture
def records(tmp_path: Path) -> Records:
    """Two seeds: in plain-20 deleting block i adds 10 i + 2 seed points to 20, in ResNet-20 a tenth of that."""
    for seed in (0, 1):
        for net, factor in ((plain(20), 1.0), (resnet(20), 0.1)):
            errors = {block: 20 + factor * (10 * i + 2 * seed) for i, block in enumerate(BLOCKS)}
            save_study(made_up_study("delete-block", net.at(SMALL, seed), {"whole net": 20.0} | errors), tmp_path)
        swaps = {"whole net": 20.0, "layer1.0": 50.0 + seed}
        save_study(made_up_study("swap-blocks", plain(20).at(SMALL, seed), swaps), tmp_path)
        grown = {label + what: 30.0 + seed for label in ("whole net", "dirac") for what in ("", ", as in training")}
        grown |= {"whole net, trained on": 25.0, "dirac, trained on": 27.0}
        save_study(made_up_study("growth", plain(20).at(SMALL, seed), grown), tmp_path)
    return Records(tmp_path)


def test_table_of_lesions(records: Records) -> None:
    table = tables.lesions("delete-block", SMALL, records, [plain(20), resnet(20), plain(56)])
    assert list(table["net"]) == ["plain-20", "ResNet-20 A", "plain-56"]
    assert list(table["whole net (%)"]) == ["20.00 ± 0.00 (n=2)", "20.00 ± 0.00 (n=2)", NO_RUN]
    assert list(table["median block adds (points)"])[:2] == ["31.00 ± 1.41 (n=2)", "3.10 ± 0.14 (n=2)"]
    assert list(table["worst block adds (points)"])[:2] == ["61.00 ± 1.41 (n=2)", "6.10 ± 0.14 (n=2)"]
    cheap = [100 / 7, 0.0]  # of plain-20, with seed 0 and 1: the first block adds 0 and 2 points
    assert table["blocks that add less than 1 point (%)"][0] == spread(cheap)
    assert table["blocks that add less than 1 point (%)"][2] == NO_RUN


def test_table_of_growth(records: Records) -> None:
    table = tables.growth(SMALL, records)
    assert list(table["net"]) == ["plain-20", "plain-20"]
    assert list(table["new blocks"]) == [tables.GROWTH["whole net"], tables.GROWTH["dirac"]]
    assert table["with the batch's statistics (%)"][1] == "30.50 ± 0.71 (n=2)"
    assert table["after training on (%)"][1] == "27.00 ± 0.00 (n=2)"


def test_figure_of_lesions_is_drawn_from_the_studies(records: Records) -> None:
    figure = figures.lesions(SMALL, records, (20,), "title")
    deleted, swapped = figure.axes
    lines = {line.get_label(): line for line in deleted.lines}
    assert set(lines) == {f"{net}, {part}" for net in ("plain-20", "ResNet-20 A") for part in PARTS}
    assert list(lines["plain-20, layer2"].get_xdata()) == [5, 6]  # the fourth block changes the shape
    assert list(lines["plain-20, layer2"].get_ydata()) == [51.0, 61.0]
    assert lines["plain-20, layer1"].get_color() == ORANGE != lines["ResNet-20 A, layer1"].get_color()
    assert {line.get_label() for line in swapped.lines} >= {"plain-20, whole", "plain-20, layer1"}
    assert "100 test images" in figure.get_supxlabel()
    assert "2 seeds" in figure.get_supxlabel()


PARTS = ("whole", "layer1", "layer2", "layer3")


def test_figure_of_lesions_without_studies_says_so(tmp_path: Path) -> None:
    assert NO_RUN in figures.lesions(SMALL, Records(tmp_path), (20, 56), "title").get_supxlabel()


def responding(net: Setting, seed: int, first: float) -> RunRecord:
    made = made_up_record(net.at(SMALL, seed))
    layers = layer_names(made.config.net)
    deviations = tuple(first + (i * 7) % len(layers) for i in range(len(layers)))
    probes = Probes(layer=layers, response_std=deviations, gradient_norm=deviations)
    return made.model_copy(update={"probes": probes})


def test_figure_of_responses_shows_medians_in_order_and_sorted() -> None:
    shown = [responding(plain(20), seed, first) for seed, first in enumerate((1.0, 5.0, 2.0))]
    shown += [responding(resnet(20), 0, 1.0)]
    figure = figures.figure7({"Clothes": shown}, "title")
    in_order, ranked = figure.axes
    expected = [median(values) for values in zip(*(r.probes.response_std for r in shown[:3]), strict=True)]
    lines = {line.get_label(): line for line in in_order.lines}
    assert list(lines) == [plain(20).name, resnet(20).name]
    assert list(lines["plain-20"].get_ydata()) == expected
    assert list(lines["plain-20"].get_xdata()) == list(range(1, 20))
    assert list(ranked.lines[0].get_ydata()) == sorted(expected, reverse=True)
    assert lines["plain-20"].get_linestyle() != lines["ResNet-20 A"].get_linestyle()
    assert lines["plain-20"].get_color() == lines["ResNet-20 A"].get_color()


def test_each_row_of_the_figure_of_responses_has_an_axis_as_long_as_its_lines_need() -> None:
    level, steep = ([responding(plain(20), 0, first)] for first in (1.0, 30.0))
    figure = figures.figure7({"level": level, "steep": steep}, "title")
    limits = [axes.get_ylim() for axes in figure.axes]
    assert limits[0] == limits[1] != limits[2] == limits[3]
    assert limits[0] == pytest.approx((0.9, 1.1 * 19))
    assert limits[2][1] == 50  # what lies beyond is told
    assert figure.axes[0].get_yticks().tolist() == [1, 2, 5, 10, 20]
    assert [name for _, name in figure.key()] == ["20 layers", "plain", "residual"]


def test_gradients_joins_seeds_by_their_geometric_mean_and_leaves_out_runs_that_diverged() -> None:
    weakest = {0: 0.01, 1: 0.04, 2: 0.3}
    runs = [made_up_record(tiny_config(seed=s), train_error=10 + s, weakest=w) for s, w in weakest.items()]
    runs[2] = runs[2].model_copy(update={"probes": None, "diverged_at": 5})
    (row,) = tables.gradients(runs).to_dict("records")
    assert row == {
        "net": "plain-8",
        "weakest layer": "0.02",
        "median layer": "0.5",
        "strongest layer": "0.5",
        "weakest ÷ median": "0.05 ± 0.04 (n=2)",
        "training error (%)": "10.50 ± 0.71 (n=2)",
    }
    assert list(tables.gradients([*runs[:1], made_up_record(tiny_config(resnet(8)))])["net"]) == [
        "plain-8",
        "ResNet-8 A",
    ]
    assert tables.gradients([]).empty


def test_layers_shows_the_first_the_middle_and_the_last() -> None:
    measured = probes.layer_statistics(started(batch_norm=False), *batch())
    table = tables.layers({"a net": measured})
    assert list(table["3×3 layer"]) == ["first (1)", "middle (4)", "last (7)"]
    for row, index in enumerate((0, 3, 6)):
        assert table["gradient norm"][row] == two_digits(measured.gradient_norm[index])
        assert table["deviation"][row] == two_digits(measured.std[index])
        assert table["mean"][row] == two_digits(measured.mean[index])
        expected = measured.gradient_norm[index] / measured.weight_norm[index]
        assert table["gradient ÷ length"][row] == two_digits(expected)


PANELS = {
    "plain": [[1e-6, 2e-6, 3e-6], [3e-6, 4e-6, 5e-6], [2e-6, 9e-6, 4e-6], [1.0] * 19],
    "residual": [[1.0, 2.0, 3.0]],
}


def test_per_layer_draws_medians_on_bands_from_the_lowest_to_the_highest() -> None:
    left, right = figures.per_layer(PANELS, "gradient norm", "A message", None).axes
    lines = {line.get_label(): line for line in left.lines}
    assert list(lines["4 layers"].get_xdata()) == [1, 2, 3]
    assert list(lines["4 layers"].get_ydata()) == pytest.approx([2e-6, 4e-6, 4e-6])
    (band,) = left.collections
    corners = {tuple(point) for path in band.get_paths() for point in path.vertices}
    assert {(1.0, 1e-6), (1.0, 3e-6), (2.0, 2e-6), (2.0, 9e-6), (3.0, 3e-6), (3.0, 5e-6)} == corners
    assert same_color(lines["20 layers"].get_color(), depth_color(20))
    assert not right.collections
    assert left.get_yscale() == right.get_yscale() == "log"
    assert left.get_ylabel() == "gradient norm"


def test_per_layer_draws_dashed_lines_in_their_panel_only() -> None:
    left, right = figures.per_layer(PANELS, "y", "t", None, dashed={"residual": [[5.0, 6.0, 7.0]]}).axes
    assert [line.get_linestyle() for line in right.lines] == ["-", "--"]
    assert all(line.get_linestyle() == "-" for line in left.lines)


def test_per_layer_puts_two_panels_in_a_row_and_can_be_empty() -> None:
    figure = figures.per_layer({name: [] for name in "abcd"}, "y", "t", [])
    places = [axes.get_subplotspec() for axes in figure.axes]
    assert [(place.rowspan.start, place.colspan.start) for place in places] == [(0, 0), (0, 1), (1, 0), (1, 1)]


def test_on_a_logarithmic_axis_a_digest_notices_small_numbers() -> None:
    moved = {"plain": [[1e-6, 2e-6, 3.01e-6], *PANELS["plain"][3:]], "residual": PANELS["residual"]}
    before = figures.per_layer(
        {"plain": PANELS["plain"][:1] + PANELS["plain"][3:]} | {"residual": []}, "y", "t", None
    ).series()
    after = figures.per_layer(moved | {"residual": []}, "y", "t", None).series()
    assert list(before["line"][before["digest"] != after["digest"]]) == ["4 layers"]
    assert list(before["first"]) == ["1", "1e-06"]


def test_the_table_of_machines_tells_runs_and_studies_apart(records: Records) -> None:
    studies = tables.studied("delete-block", SMALL, records, [plain(20)])
    table = tables.hardware([made_up_record(study.config) for study in studies] + studies + studies)
    assert list(table["data"]) == ["fashion-mnist-mini", "fashion-mnist-mini, after the run"]
    assert list(table["runs"]) == [2, 2]
