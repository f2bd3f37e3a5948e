"""A figure shows the records it is given, can be checked as numbers, and is drawn without torch."""

from statistics import mean

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.colors import same_color
from matplotlib.figure import Figure
from samples import made_up_record, python, tiny_config

from resnet_lib.data import tabular
from resnet_lib.evidence.rule import interval
from resnet_lib.runs.experiments import CHOOSING_SEEDS, RATES
from resnet_lib.runs.profiles import PROFILES
from resnet_lib.runs.records import RunRecord
from resnet_lib.runs.settings import plain, resnet
from resnet_lib.show.figures import curves, final_errors, lines, parity, rates, settings

RECORDS = [
    made_up_record(tiny_config(net, seed), train_error=base + 3 * seed, test_error=base + 10 + seed)
    for net, base in ((plain(20), 10), (plain(56), 40), (resnet(20), 5), (resnet(56), 8))
    for seed in (0, 1, 2)
]


def with_test_errors(record: RunRecord, *errors: float) -> RunRecord:
    return record.model_copy(update={"test_curve": record.test_curve.model_copy(update={"error": errors})})


def plotted(figure: Figure) -> list[list[tuple[float, float]]]:
    lines = [line for axes in figure.axes for line in axes.lines]
    return [list(zip(line.get_xdata(), line.get_ydata(), strict=True)) for line in lines]


# Curves.


def test_each_net_has_a_solid_test_curve_and_a_dashed_training_curve_of_means_over_seeds() -> None:
    figure = curves({"Plain": RECORDS[:6], "Residual": RECORDS[6:]})
    panels = {axes.get_title(loc="left"): axes for axes in figure.axes}
    assert list(panels) == ["Plain", "Residual"]
    for axes, nets in (
        (panels["Plain"], (RECORDS[:3], RECORDS[3:6])),
        (panels["Residual"], (RECORDS[6:9], RECORDS[9:])),
    ):
        drawn = {(line.get_label().split(",")[0], line.get_linestyle()): line for line in axes.lines}
        assert len(drawn) == len(axes.lines) == 4
        for group in nets:
            for style, column in (("-", "test_curve"), ("--", "train_curve")):
                line = drawn[group[0].config.net.name, style]
                errors = [mean(values) for values in zip(*(getattr(r, column).error for r in group), strict=True)]
                assert list(line.get_xdata()) == [6, 12]
                assert list(line.get_ydata()) == pytest.approx(errors)


def test_a_band_reaches_from_the_lowest_to_the_highest_seed() -> None:
    (axes,) = curves({"": RECORDS[:3]}).axes
    corners = [{tuple(point) for point in band.get_paths()[0].vertices if point[0] == 12} for band in axes.collections]
    assert corners == [{(12, 20), (12, 22)}]  # test errors; a band for training errors would lie on it
    assert not curves({"": RECORDS[:1]}).axes[0].collections


def test_a_depth_has_one_color_in_all_panels() -> None:
    plain_axes, residual_axes = curves({"Plain": RECORDS[:6], "Residual": RECORDS[6:]}).axes
    colors = [[line.get_color() for line in axes.lines] for axes in (plain_axes, residual_axes)]
    assert colors[0] == colors[1]
    assert len(set(colors[0])) == 2


def test_a_net_of_a_readers_own_depth_can_be_drawn() -> None:
    figure = curves({"": [made_up_record(tiny_config(plain(depth))) for depth in (8, 14, 20)]})
    by_net = {line.get_label(): line.get_color() for line in figure.axes[0].lines}
    assert len(by_net) == 6
    assert not same_color(by_net["plain-8, test"], by_net["plain-20, test"])


@pytest.mark.parametrize("draw", [lambda: curves({"": RECORDS[:3]}), lambda: final_errors(RECORDS)])
def test_a_figure_is_shown_only_by_the_cell_that_returns_it(draw: object) -> None:
    draw()
    assert not plt.get_fignums()


# Final errors.


def test_final_errors_are_a_line_through_means_and_a_dot_per_seed() -> None:
    lines = plotted(final_errors(RECORDS))
    assert [(20, 13), (56, 43)] in lines  # plain nets: means of 10, 13, 16 and of 40, 43, 46
    assert [(20, 8), (56, 11)] in lines
    assert [(56, 40), (56, 43), (56, 46)] in lines


def test_settings_are_dots_with_the_interval_of_their_mean() -> None:
    lines = plotted(settings(RECORDS[3:6]))
    assert [(40, 0), (43, 0), (46, 0)] in lines
    _, low, high = interval([40, 43, 46])
    assert [(low, 0), (43, 0), (high, 0)] in [[(pytest.approx(x), y) for x, y in line] for line in lines]


# Figures as numbers.


def test_series_names_every_curve_with_its_ends() -> None:
    table = curves({"Plain": RECORDS[:6]}).series()
    assert list(table["line"]) == ["plain-20, training", "plain-20, test", "plain-56, training", "plain-56, test"]
    assert set(table["panel"]) == {"Plain"}
    assert list(table["points"]) == [2, 2, 2, 2]
    assert list(table["first"]) == ["90.00", "95.00", "90.00", "95.00"]
    assert list(table["last"]) == ["14.00", "21.00", "44.00", "51.00"]


@pytest.mark.parametrize(
    "draw", [lambda rs: curves({"": rs}), final_errors, settings], ids=["curves", "final", "settings"]
)
def test_series_are_the_same_each_time(draw: object) -> None:
    assert draw(RECORDS).series().equals(draw(RECORDS).series())


def test_a_point_that_moves_by_a_hundredth_changes_the_digest_of_its_line_and_of_no_other() -> None:
    record, other = RECORDS[0], RECORDS[3]
    before = curves({"": [record, other]}).series()
    first, last = record.test_curve.error
    for moved in ((first + 0.01, last), (first - 0.01, last), (first, last + 0.01)):
        after = curves({"": [with_test_errors(record, *moved), other]}).series()
        changed = before["digest"] != after["digest"]
        assert list(before["line"][changed]) == ["plain-20, test"]


@pytest.mark.parametrize("draw", [final_errors, settings])
def test_a_seed_that_moves_by_a_hundredth_changes_a_digest(draw: object) -> None:
    final = RECORDS[4].final.model_copy(update={"train_error": RECORDS[4].final.train_error + 0.01})
    moved = [*RECORDS[:4], RECORDS[4].model_copy(update={"final": final}), *RECORDS[5:]]
    assert (draw(RECORDS).series()["digest"] != draw(moved).series()["digest"]).sum() == 1


def test_a_digest_tells_iterations_apart_too() -> None:
    record = RECORDS[0]
    curve = record.test_curve.model_copy(update={"iteration": (5, 12)})
    moved = record.model_copy(update={"test_curve": curve})
    before, after = (curves({"": [r]}).series()["digest"] for r in (record, moved))
    assert list(before != after) == [False, True]


def test_figures_and_tables_work_where_torch_is_not_installed() -> None:
    program = """
import sys

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("torch", "torchvision"):
            raise ModuleNotFoundError(name)

sys.meta_path.insert(0, Absent())
from resnet_lib.evidence import claims
from resnet_lib.runs import experiments
from resnet_lib.show import figures, tables
from resnet_lib.runs.store import Records
figures.curves({"": []}).series()
tables.report(experiments.PROFILES["small"], Records.committed(), Records())
"""
    done = python("-c", program)
    assert done.returncode == 0, done.stderr
    assert "ModuleNotFoundError: torch" in python("-c", f"{program}\nimport torch").stderr


SETTINGS = [
    made_up_record(tiny_config(net, seed), train_error=base + seed, test_error=base + 10 + seed)
    for net, base in ((plain(8), 30), (resnet(8), 5))
    for seed in (0, 1, 2)
]


def test_both_errors_of_a_setting_lie_on_its_row_one_above_the_other() -> None:
    (axes,) = settings(SETTINGS, ("training", "test"), "Message").axes
    dots = {line.get_label(): line for line in axes.lines if not line.get_label().startswith("_")}
    assert list(dots) == ["plain-8, training", "plain-8, test", "ResNet-8 A, training", "ResNet-8 A, test"]
    assert [text.get_text() for text in axes.texts] == ["plain-8", "ResNet-8 A"]
    assert list(dots["plain-8, test"].get_xdata()) == [40, 41, 42]
    rows = {name: set(line.get_ydata()) for name, line in dots.items()}
    assert {round(min(row)) for name, row in rows.items() if "ResNet" in name} == {1}
    assert max(rows["plain-8, training"]) < min(rows["plain-8, test"])  # the axis points down
    assert dots["plain-8, training"].get_markerfacecolor() == "none"
    assert not same_color(dots["plain-8, test"].get_color(), dots["ResNet-8 A, test"].get_color())


def test_bars_are_intervals_and_need_as_many_seeds_as_a_verdict() -> None:
    (axes,) = settings(SETTINGS[:3], ("test",)).axes
    _, low, high = interval([40, 41, 42])
    bars = [line.get_xdata() for line in axes.lines if line.get_label().startswith("_")]
    assert len(bars) == 1
    assert list(bars[0]) == pytest.approx([low, 41, high])
    assert "intervals" in axes.figure._supxlabel.get_text()
    (axes,) = settings(SETTINGS[:2], ("test",)).axes
    assert all(not line.get_label().startswith("_") for line in axes.lines)
    assert "intervals" not in axes.figure._supxlabel.get_text()  # which names only what is drawn


def test_a_mean_beyond_the_axis_is_written_at_its_end() -> None:
    figure = settings(SETTINGS, ("test",), up_to=30)
    (axes,) = figure.axes
    assert axes.get_xlim() == (0, 30)
    assert [text.get_text() for text in axes.texts if "→" in text.get_text()] == ["41 →"]  # plain-8, not ResNet-8
    assert "beyond the axis" in figure._supxlabel.get_text()
    assert not any("→" in text.get_text() for text in settings(SETTINGS, ("test",)).axes[0].texts)


def test_panels_share_their_rows() -> None:
    left, right = settings({"all": SETTINGS, "residual": SETTINGS[3:]}, ("test",)).axes
    assert (left.get_title(loc="left"), right.get_title(loc="left")) == ("all", "residual")
    (line,) = (line for line in right.lines if line.get_label() == "ResNet-8 A")
    assert set(line.get_ydata()) == {1}


def test_a_diverged_run_is_told_under_the_figure() -> None:
    record = made_up_record(tiny_config(plain(8)), train_error=90, test_error=90)
    diverged = record.model_copy(update={"diverged_at": 12})
    assert "diverged" not in settings([record])._supxlabel.get_text()
    assert "1 run diverged" in settings([diverged])._supxlabel.get_text()


@pytest.mark.filterwarnings("error")
def test_a_profile_without_records_gives_an_empty_figure() -> None:
    assert settings({"all": [], "few": []}, ("training", "test"), "Message").series().empty


def test_the_parity_rule_is_drawn_as_it_is() -> None:
    features, labels = tabular.parity_rule()
    figure = parity(features, labels)
    assert sum(figure.series()["points"]) == 500
    for axes, third in zip(figure.axes, (-1, 1), strict=True):
        for line in axes.lines:
            product = np.sign(line.get_xdata()) * np.sign(line.get_ydata()) * third
            assert set(product) == {1 if line.get_label() == "class 1" else -1}


def test_lines_are_drawn_as_given() -> None:
    figure = lines({"a": [1, 2, 4], "b": [3, 3]}, "step", "rate", "Message", start=1, log=True)
    (axes,) = figure.axes
    drawn = {line.get_label(): list(zip(line.get_xdata(), line.get_ydata(), strict=True)) for line in axes.lines}
    assert drawn == {"a": [(1, 1), (2, 2), (3, 4)], "b": [(1, 3), (2, 3)]}
    assert (axes.get_yscale(), axes.get_title(loc="left")) == ("log", "Message")


def test_rates_are_places_of_which_those_that_are_warmed_up_stand_apart() -> None:
    runs = [
        made_up_record(net.with_recipe(**rate).at(PROFILES["small"], seed), train_error=error + seed - 100)
        for net, error in ((plain(20), 10), (resnet(20), 5))
        for rate in (RATES[0], RATES[3], RATES[5])
        for seed in CHOOSING_SEEDS
    ]
    figure = rates({"plain": runs[:6], "residual": runs[6:]})
    for axes, error in zip(figure.axes, (10, 5), strict=True):
        assert [label.get_text() for label in axes.get_xticklabels()] == ["0.003", "0.1", "0.1\nwarm"]
        lines = {line.get_label(): line for line in axes.lines if not line.get_label().startswith("_")}
        (cold, warm) = lines.values()
        assert list(cold.get_xdata()) == [0, 1] and list(warm.get_xdata()) == [2]
        assert list(cold.get_ydata()) == [error + 0.5] * 2
    assert figure.made_from == tuple(runs)
