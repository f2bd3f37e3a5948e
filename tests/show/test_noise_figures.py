"""Figures and tables of chapter 16 show what records and studies say."""

from statistics import mean, stdev

import pytest

from resnet_lib.evidence import noise
from resnet_lib.runs.experiments import HASTY, SUITES
from resnet_lib.runs.profiles import PROFILES
from resnet_lib.runs.settings import resnet
from resnet_lib.runs.store import Records
from resnet_lib.show import figures, tables
from resnet_lib.show.figures.canvas import MEASURED_ON_X

RECORDS = Records.committed()
SMALL = PROFILES["small"]
RUNS = RECORDS.select(resnet(20).runs(SMALL))


def drawn(figure: figures.Figure) -> dict[tuple[str, str], list[float]]:
    """(panel, line) -> what was measured."""
    return {
        (axes.get_title(loc="left"), str(line.get_label())): [
            float(v) for v in (line.get_xdata() if line.get_gid() == MEASURED_ON_X else line.get_ydata())
        ]
        for axes in figure.axes
        for line in axes.lines
    }


def test_dots_are_errors_of_seeds_about_their_mean() -> None:
    figure = figures.seed_scatter(RECORDS, "")
    errors = [run.final.test_error for run in RUNS]
    dots = drawn(figure)["residual", f"20 layers, {SMALL.label}"]
    assert dots == pytest.approx(sorted(error - mean(errors) for error in errors))
    assert all(run.config.recipe.iterations < 64_000 for run in figure.made_from), "one seed has no scatter"
    row = next(
        row for row in tables.seed_scatter(RECORDS).to_dict("records") if row["mean (%)"] == f"{mean(errors):.2f}"
    )
    assert (row["net"], row["deviation (points)"]) == ("ResNet-20 A", f"{stdev(errors):.2f}")


def test_images_are_counted_by_how_many_seeds_get_them_wrong() -> None:
    shares = drawn(figures.how_often_wrong(RUNS, ""))["", "ResNet-20 A"]
    assert len(shares) == SMALL.num_seeds + 1 and sum(shares) == pytest.approx(100)
    always = noise.wrong_images(RUNS).all(axis=0).mean()
    assert shares[-1] == pytest.approx(100 * always)


def test_parts_are_drawn_as_deviations() -> None:
    parts, lines = noise.scatter(noise.wrong_images(RUNS)), drawn(figures.parts_of_scatter(RUNS, ""))
    assert lines["", "ResNet-20 A, measured"] == [pytest.approx(stdev(run.final.test_error for run in RUNS), rel=1e-4)]
    assert lines["", "ResNet-20 A, sampling alone"] == [pytest.approx(parts.sampling**0.5)]


def test_the_interval_of_a_scatter_is_that_of_its_deviation() -> None:
    (row,) = tables.parts_of_scatter(RUNS).to_dict("records")
    low, high = noise.deviation_interval([run.final.test_error for run in RUNS])
    assert row["deviation (points)"].endswith(f" ({low:.2f} to {high:.2f})")


def test_twins_are_drawn_from_their_start_to_their_end() -> None:
    lines, table = drawn(figures.twins(SMALL, RECORDS, "")), tables.twins(SMALL, RECORDS)
    bit = lines["trained in fp32", "one bit"]
    assert (bit[0] < 1e-8, len(bit)) == (True, 11)
    assert lines["trained in fp32", "another seed"][-1] > bit[-1]
    first = table.to_dict("records")[0]
    assert (first["trained in"], first["twin"], first["seeds"]) == ("fp32", "one bit", SMALL.num_seeds)
    studies = [RECORDS.study("one-bit", run) for run in resnet(20).runs(SMALL)]
    differ = [dict(zip(one.label, one.value, strict=True))["one bit, differ"] for one in studies]
    assert first["answered differently (%)"] == f"{mean(differ):.1f} ({min(differ):.1f} to {max(differ):.1f})"


def test_runs_elsewhere_stand_beside_their_records() -> None:
    rows = tables.elsewhere(SMALL, RECORDS).to_dict("records")
    assert [row["seed"] for row in rows] == list(SUITES["elsewhere"].seeds)
    run = RECORDS.get(HASTY.at(SMALL, 0))
    device = RECORDS.study("again", run.config).provenance.device
    assert device != run.provenance.device
    assert rows[0][f"test error, {run.provenance.device} (%)"] == f"{run.final.test_error:.2f}"


def test_the_seeds_of_the_table_are_those_of_the_curve() -> None:
    figure, table = figures.seeds_needed(RECORDS, ""), tables.seeds_needed(RECORDS, sizes=(10,))
    ends = {line: heights[-1] for (_, line), heights in drawn(figure).items() if not line.startswith("_")}
    assert list(ends) == list(table["runs on"])
    assert [f"{end:,.0f}" for end in ends.values()] == list(table["10 points"])


def test_runs_of_others_are_all_there() -> None:
    lines = drawn(figures.others_runs(56, ""))
    singles = [value for (_, name), values in lines.items() if "akamaster" in name for value in values]
    assert max(singles) == 8.42 and len(singles) == 6
    assert lines["", "the paper, Table 6"] == [6.97]


def test_the_best_of_five_is_on_the_curve_of_the_paper() -> None:
    lines = drawn(figures.best_of(""))
    assert lines["", "lowest of n, expected"][0] == pytest.approx(6.61)
    assert lines["", "printed, best of 5"] == [6.43]
    assert list(tables.best_of((1, 5))["expected gain (deviations)"]) == ["0.00", "1.16"]
