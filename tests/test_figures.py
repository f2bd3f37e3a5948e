"""A figure shows the records it is given, can be checked as numbers, and is drawn without torch."""

from statistics import mean

import matplotlib.pyplot as plt
import pytest
from matplotlib.colors import same_color
from matplotlib.figure import Figure
from samples import made_up_record, python, tiny_config

from resnet_lib.evidence.rule import interval
from resnet_lib.runs.records import RunRecord
from resnet_lib.runs.settings import plain, resnet
from resnet_lib.show.figures import curves, final_errors, series, settings

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
    assert corners == [{(12, 11), (12, 17)}, {(12, 20), (12, 22)}]  # training, test
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
    assert [(low, 0), (high, 0)] in [[(pytest.approx(x), y) for x, y in line] for line in lines]


# Figures as numbers.


def test_series_names_every_curve_with_its_ends() -> None:
    table = series(curves({"Plain": RECORDS[:6]}))
    assert list(table["line"]) == ["plain-20, training", "plain-20, test", "plain-56, training", "plain-56, test"]
    assert set(table["panel"]) == {"Plain"}
    assert list(table["points"]) == [2, 2, 2, 2]
    assert list(table["first"]) == ["90.00", "95.00", "90.00", "95.00"]
    assert list(table["last"]) == ["14.00", "21.00", "44.00", "51.00"]


@pytest.mark.parametrize(
    "draw", [lambda rs: curves({"": rs}), final_errors, settings], ids=["curves", "final", "settings"]
)
def test_series_are_the_same_each_time(draw: object) -> None:
    assert series(draw(RECORDS)).equals(series(draw(RECORDS)))


def test_a_point_that_moves_by_a_hundredth_changes_the_digest_of_its_line_and_of_no_other() -> None:
    record, other = RECORDS[0], RECORDS[3]
    before = series(curves({"": [record, other]}))
    first, last = record.test_curve.error
    for moved in ((first + 0.01, last), (first - 0.01, last), (first, last + 0.01)):
        after = series(curves({"": [with_test_errors(record, *moved), other]}))
        changed = before["digest"] != after["digest"]
        assert list(before["line"][changed]) == ["plain-20, test"]


@pytest.mark.parametrize("draw", [final_errors, settings])
def test_a_seed_that_moves_by_a_hundredth_changes_a_digest(draw: object) -> None:
    final = RECORDS[4].final.model_copy(update={"train_error": RECORDS[4].final.train_error + 0.01})
    moved = [*RECORDS[:4], RECORDS[4].model_copy(update={"final": final}), *RECORDS[5:]]
    assert (series(draw(RECORDS))["digest"] != series(draw(moved))["digest"]).sum() == 1


def test_a_digest_tells_iterations_apart_too() -> None:
    record = RECORDS[0]
    curve = record.test_curve.model_copy(update={"iteration": (5, 12)})
    moved = record.model_copy(update={"test_curve": curve})
    before, after = (series(curves({"": [r]}))["digest"] for r in (record, moved))
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
from resnet_lib.runs.profiles import PROFILES
from resnet_lib.show import figures, tables
from resnet_lib.runs.store import Records
figures.series(figures.curves({"": []}))
tables.report(PROFILES["smoke"], Records.committed(), Records())
"""
    done = python("-c", program)
    assert done.returncode == 0, done.stderr
    assert "ModuleNotFoundError: torch" in python("-c", f"{program}\nimport torch").stderr
