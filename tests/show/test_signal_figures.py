"""Figures of chapter 15 draw what the studies say."""

from math import ceil, comb, exp, floor, isnan, log
from statistics import geometric_mean, mean

import pytest
from samples import made_up_study

from resnet_lib.evidence.effects import path_shares, time_to_learn
from resnet_lib.runs.profiles import PROFILES
from resnet_lib.runs.settings import plain, resnet
from resnet_lib.runs.store import Records
from resnet_lib.show import figures, tables
from resnet_lib.show.figures.signals import steps_of_trained

RECORDS = Records.committed()
CONFIG = resnet(20).at(PROFILES["paper"], 0)


def drawn(figure: figures.Figure) -> dict[tuple[str, str], list[float]]:
    """(panel, line) -> its heights."""
    return {
        (axes.get_title(loc="left"), str(line.get_label())): [float(y) for y in line.get_ydata()]
        for axes in figure.axes
        for line in axes.lines
    }


def values(study: str) -> dict[str, float]:
    found = RECORDS.study(study, CONFIG)
    return dict(zip(found.label, found.value, strict=True))


def test_sums_are_those_of_the_steps_of_each_net() -> None:
    trained = steps_of_trained(RECORDS)
    assert len(trained) == 9 and "this book/ResNet-20" in trained and not any("plain" in name for name in trained)
    lines = drawn(figures.sums_of_steps({1: [0.5], 2: [0.25, 0.5]}, RECORDS, ""))
    assert lines["", "untrained"] == [0.5, 0.75]
    assert lines["", "trained, akamaster"] == [sum(s) for name, s in trained.items() if name.startswith("akamaster")]
    table = tables.steps(RECORDS)
    assert list(table["sum of the steps"]) == [f"{sum(steps):.1f}" for steps in trained.values()]


def test_shares_of_equal_paths_are_those_of_their_numbers() -> None:
    study = made_up_study("gradient-paths", CONFIG, {"0": 2.0, "1": 2.0, "2": 2.0})
    assert path_shares(study) == pytest.approx([25, 50, 25])
    study = made_up_study("gradient-paths", CONFIG, {"0": 4.0, "1": 1.0, "2": 2.0})
    assert path_shares(study) == pytest.approx([50, 25, 25])


def test_the_number_of_paths_is_drawn_beside_their_shares() -> None:
    lines = drawn(figures.path_lengths(RECORDS, (20,), ""))
    panel = "20 layers, 9 blocks"
    assert lines[panel, "number of paths"] == [100 * comb(9, k) / 512 for k in range(10)]
    assert lines[panel, "ResNet-20, this book"] == path_shares(RECORDS.study("gradient-paths", CONFIG))


def test_the_mean_length_is_the_one_that_r_gives() -> None:
    rows = {row["trained by"]: row for row in tables.path_lengths(RECORDS, (20,)).to_dict("records")}
    shares = path_shares(RECORDS.study("gradient-paths", CONFIG))
    length = sum(number * share for number, share in enumerate(shares)) / 100
    ours = rows["this book"]
    assert ours["of the gradient's"] == f"{length:.1f}"
    r = float(ours["r"])
    assert 9 * r / (1 + r) == pytest.approx(length, abs=0.03)
    assert len(rows) > 1


def test_deletions_begin_with_the_whole_net_and_go_through_the_means_of_the_draws() -> None:
    lines = drawn(figures.deletions(RECORDS, (20,), ""))
    errors = values("deletion-curve")
    ones = [error for label, error in errors.items() if "." in label and "+" not in label]
    line = lines["20 layers", "ResNet-20, this book"]
    assert line[:2] == pytest.approx([errors["whole net"], mean(ones)])
    assert len(line) == 7  # six of the seven blocks that keep the shape may go
    plain_line = lines["20 layers", "plain-20, this book"]
    assert plain_line[1] > 2 * line[1] and {"20 layers"} == {panel for panel, _ in lines}


def test_times_to_learn_are_geometric_means_over_seeds() -> None:
    small = PROFILES["small"]
    lines = drawn(figures.times_to_learn([small], RECORDS, ""))
    times = [time_to_learn(run) for run in RECORDS.select(resnet(110).runs(small))]
    assert len(times) == small.num_seeds
    assert lines[small.label, "residual"][-1] == pytest.approx(geometric_mean(times))
    small = PROFILES["small"]
    of = [geometric_mean(map(time_to_learn, RECORDS.select(plain(d).runs(small)))) for d in (20, 32)]
    assert tables.slowed_down([small], RECORDS)["20 to 32 layers"][0] == f"× {of[1] / of[0]:.2f}"


def test_what_is_read_off_stands_at_its_block() -> None:
    figure = figures.refinement(RECORDS, (20,), "")
    read, cosines = (
        next(line for line in axes.lines if line.get_label() == "ResNet-20, this book") for axes in figure.axes
    )
    assert list(read.get_xdata()) == list(range(1, 10))
    assert list(read.get_ydata())[-1] == values("read-off")["layer3.2"] == values("read-off")["whole net"]
    assert list(cosines.get_xdata()) == [1, 2, 3, 5, 6, 8, 9]  # those that keep the shape
    assert list(cosines.get_ydata()) == [100 * value for value in values("gradient-step").values()]


def test_resets_go_from_the_stem_to_the_classifier() -> None:
    lines, of = drawn(figures.resets(RECORDS, "")), values("reset-block")
    line = lines["", "ResNet-20, this book"]
    assert (len(line), line[0], line[1], line[-1]) == (11, of["stem"], of["layer1.0"], of["fc"])


def test_the_thick_line_is_the_mean_of_the_thin_ones() -> None:
    lines, of = drawn(figures.landscape(RECORDS, (20,), "")), values("filter-line")
    thick = lines["20 layers", "ResNet-20, this book"]
    assert thick[0] == pytest.approx((of["0: -0.5"] + of["1: -0.5"]) / 2)
    assert min(thick) < 0.1 < max(thick)


def test_on_a_line_of_equal_loss_the_loss_is_what_it_says() -> None:
    figure = figures.loss_plane(RECORDS, 56, "")
    assert [axes.get_title(loc="left") for axes in figure.axes] == ["plain-56", "ResNet-56"]
    study = RECORDS.published("filter-plane", "a-martyn/plain-56")
    losses = {tuple(map(float, label.split())): loss for label, loss in zip(study.label, study.value, strict=True)}

    def between(x: float, y: float) -> float:  # on an edge of the grid: along it the logarithm is linear
        low, high = ((round(floor(10 * v + 1e-9) / 10, 1), round(ceil(10 * v - 1e-9) / 10, 1)) for v in (x, y))
        ends = [log(losses[low[0], high[0]]), log(losses[low[1], high[1]])]
        share = max((v - span[0]) / 0.1 for v, span in ((x, low), (y, high)))
        return exp(ends[0] + share * (ends[1] - ends[0]))

    lines = {line.get_label(): line for line in figure.axes[0].lines}
    for level in (0.1, 1, 3):
        points = [point for point in lines[f"loss {level:g}"].get_xydata() if not isnan(point[0])]
        assert [between(*point) for point in points] == pytest.approx([level] * len(points))
        assert points[0] == pytest.approx(points[-1])  # closed


def test_moments_of_a_long_run_are_those_of_its_record() -> None:
    lines, run = drawn(figures.steps_in_training(RECORDS, "")), RECORDS.get(CONFIG)
    assert lines["ResNet-20 A", "0 iterations"] == list(run.probes_on_the_way[0].blocks.branch_ratio)
    assert lines["ResNet-20 A", "64,000 iterations"] == list(run.probes.blocks.branch_ratio)
