"""The paper's tables and figures: quoted as printed, never mixed with ours, and gaps are named as gaps."""

from pathlib import Path
from statistics import mean, median

import pytest
import torch
from matplotlib.axes import Axes
from samples import made_up_record

from resnet_lib import display
from resnet_lib.data.torchvision_compat import torchvision
from resnet_lib.nets import models
from resnet_lib.runs.experiments import SUITES
from resnet_lib.runs.paper import figure4_error, figure6_error, paper_table, table6_error, table6_mean
from resnet_lib.runs.profiles import PROFILES
from resnet_lib.runs.records import RunRecord, save_record
from resnet_lib.runs.settings import Setting, plain, resnet, table1
from resnet_lib.runs.store import Records
from resnet_lib.show import figures, tables

SMALL, QUICK, PAPER = PROFILES.values()


def stored(folder: Path, setting: Setting, profile: str, *errors: float) -> list[RunRecord]:
    """Made-up records with these test errors, one per seed of the profile."""
    made = [made_up_record(setting.at(PROFILES[profile], seed), test_error=e) for seed, e in enumerate(errors)]
    for record in made:
        save_record(record, folder)
    return made


def rows_of(table: display.Table) -> dict[str, dict[str, str]]:
    """A table's rows by their first entry."""
    return {str(next(iter(row.values()))): row for row in table.to_dict("records")}


# What the paper prints.


def test_each_table_of_the_paper_is_found_by_its_number() -> None:
    assert paper_table(1)["output_sizes"]["conv5_x"] == 7
    assert paper_table(2)["plain34"] == 28.54
    assert paper_table(3)["ResNet-50"] == [22.85, 6.71]
    assert paper_table(4)["ResNet-50"] == [20.74, 5.25]
    assert paper_table(5)["ResNet ILSVRC15"] == 3.57
    assert paper_table(6)["ResNet-56"][2] == 6.97


def test_of_five_runs_the_mean_is_compared_and_not_the_best() -> None:
    assert table6_error(110) == "6.43 (6.61±0.16)"
    assert table6_mean(110) == 6.61
    assert table6_mean(20) == 8.75
    assert table6_mean(26) is None


@pytest.mark.parametrize("depth", [20, 32, 44, 56, 110, 1202])
def test_the_parameters_of_table_6_are_those_of_our_nets(depth: int) -> None:
    printed = paper_table(6)[f"ResNet-{depth}"][1]
    with torch.device("meta"):
        millions = models.num_parameters(models.CifarNet(depth, "A")) / 1e6
    digits = len(printed.removesuffix("M").partition(".")[2])
    assert f"{millions:.{digits}f}M" == printed


def test_table_2_gives_what_depth_gains() -> None:
    last = tables.table2().to_dict("records")[-1]
    assert list(last.values())[1:] == ["-0.60", "+2.85"]


def test_errors_stand_with_the_digits_that_were_printed() -> None:
    assert tables.pair_of_errors((22.85, 6.71)) == "22.85 / 6.71"
    assert tables.pair_of_errors((24.4, 7.1)) == "24.4 / 7.1"
    assert tables.pair_of_errors((21.53, 5.6)) == "21.53 / 5.60"
    assert tables.pair_of_errors((None, 9.15)) == "– / 9.15"
    assert tables.pair_of_errors(()) == ""


@pytest.mark.parametrize(("row", "depth"), [("ResNet-34 B", 34), ("ResNet-50", 50), ("ResNet-152", 152)])
def test_torchvisions_errors_are_those_that_its_own_weights_state(row: str, depth: int) -> None:
    weights = getattr(torchvision.models, f"ResNet{depth}_Weights").IMAGENET1K_V1
    stated = weights.meta["_metrics"]["ImageNet-1K"]
    shown = rows_of(tables.table3())[row]["torchvision V1, 1 crop (%)"]
    assert shown == f"{100 - stated['acc@1']:.2f} / {100 - stated['acc@5']:.2f}"


def test_numbers_of_others_stand_only_in_rows_of_the_net_that_they_have() -> None:
    rows = rows_of(tables.table3())
    for net in ("plain-34", "ResNet-34 A", "ResNet-34 C", "GoogLeNet"):
        assert [text for heading, text in rows[net].items() if heading not in ("net", "the paper, 10-crop (%)")] == [
            ""
        ] * 4
    assert rows["VGG-16"]["authors' weights, 1 crop (%)"] == "28.5 / 9.9"


def test_gains_of_protocols_are_differences_between_tables() -> None:
    rows = rows_of(tables.table4())
    assert rows["ResNet-50"]["top-1, points gained by multi-scale testing"] == f"{22.85 - 20.74:.2f}"
    assert rows["VGG v5"]["top-1, points gained by multi-scale testing"] == ""
    assert rows["VGG ILSVRC14"]["Table 4 (%)"].endswith("test set")
    assert rows_of(tables.protocols())["ResNet-50"] == {
        "net": "ResNet-50",
        "1 crop (%)": "24.7",
        "10-crop (%)": "22.85",
        "several scales (%)": "20.74",
        "gained in all (points)": "4.0",
    }


# Table 6 and ours.


def test_table_6_has_every_row_of_the_paper_and_ours_under_their_profiles(tmp_path: Path) -> None:
    stored(tmp_path, resnet(20), "quick", 15.0)
    stored(tmp_path, resnet(20), "small", 20.0, 22.0)
    stored(tmp_path, plain(20), "quick", 1.0)  # Table 6 has no plain nets
    stored(tmp_path, resnet(1202), "small", 50.0)
    rows = rows_of(tables.table6(Records(tmp_path)))
    assert list(rows) == list(paper_table(6))
    ours = {
        "here, profile paper (%)": "no run yet",
        "here, profile quick (%)": "15.00 (n=1)",
        "here, other images, profile small (%)": "21.00 ± 1.41 (n=2)",
    }
    assert {heading: rows["ResNet-20"][heading] for heading in ours} == ours
    assert rows["ResNet-1202"]["here, other images, profile small (%)"] == "50.00 (n=1)"
    assert [rows["ResNet-56"][heading] for heading in ours] == ["no run yet"] * 3
    assert [rows["Maxout"][heading] for heading in ours] == [""] * 3
    assert rows["Highway-32"]["the paper (%)"] == "8.80"


def test_distances_are_taken_from_means_and_only_on_the_papers_images(tmp_path: Path) -> None:
    stored(tmp_path, resnet(110), "quick", 9.61)
    stored(tmp_path, plain(20), "quick", 10.7)
    rows = rows_of(tables.distances(QUICK, Records(tmp_path)))
    assert rows["ResNet-110 A"]["here minus paper (points)"] == "+3.00 (n=1)"
    assert rows["ResNet-110 A"]["raphaelreme minus paper (points)"] == "-0.01"
    assert rows["ResNet-1202 A"]["raphaelreme minus paper (points)"] == "-0.03"
    assert rows["plain-20"]["the paper (%)"] == "≈ 9.7"
    assert rows["plain-20"]["here minus paper (points)"] == "+1.00 (n=1)"
    assert rows["ResNet-56 A"]["here minus paper (points)"] == "no run yet"
    assert "plain-110" not in rows  # the paper gives no number to be distant from
    with pytest.raises(ValueError, match="only CIFAR-10"):
        tables.distances(SMALL, Records(tmp_path))


def test_where_the_paper_gives_a_bound_the_bound_stands() -> None:
    rows = rows_of(tables.against_paper(QUICK, Records()))
    assert rows["plain-110"]["test error, paper (%)"] == "> 60"


def test_figure_7_compares_mean_and_median_over_layers(tmp_path: Path) -> None:
    (record,) = stored(tmp_path, resnet(20), "small", 20.0)
    assert record.probes is not None
    responses = tuple(1.0 + 0.1 * layer**2 for layer in range(len(record.probes.layer)))
    probes = record.probes.model_copy(update={"response_std": responses})
    save_record(record.model_copy(update={"probes": probes}), tmp_path)
    rows = rows_of(tables.figure7(SMALL, Records(tmp_path)))
    assert rows["ResNet-20 A"]["mean, here"] == f"{mean(responses):.2f} (n=1)"
    assert rows["ResNet-20 A"]["median, here"] == f"{median(responses):.2f} (n=1)"
    assert rows["ResNet-20 A"]["mean, paper"] == "≈ 1.62"
    assert rows["ResNet-110 A"]["mean, here"] == "no run yet"


def test_recorded_names_nets_that_have_no_run(tmp_path: Path) -> None:
    found = stored(tmp_path, plain(20), "small", 20.0)
    rows = rows_of(tables.recorded([plain(20), plain(32)], found))
    assert rows["plain-20"]["test error (%)"] == "20.00 (n=1)"
    assert rows["plain-32"]["training error (%)"] == "no run yet"


def test_settings_that_differ_in_their_recipe_alone_have_rows_of_their_own(tmp_path: Path) -> None:
    slow = plain(20).with_recipe(lr=0.01)
    for setting, error in ((plain(20), 20.0), (slow, 30.0)):
        stored(tmp_path, setting, "small", error)
    rows = rows_of(tables.of_settings([plain(20), slow], PROFILES["small"], Records(tmp_path)))
    assert [row["test error (%)"] for row in rows.values()] == ["20.00 (n=1)", "30.00 (n=1)"]


# Figures 4 and 6.


def texts(axes: Axes) -> str:
    """All that is written in a panel, on one line."""
    return " ".join(" ".join(text.get_text() for text in axes.texts).split())


def test_figure_6_draws_what_there_is_and_names_what_there_is_not(tmp_path: Path) -> None:
    settings = (plain(20), plain(56), plain(110), resnet(110))
    records = [record for setting in settings for record in stored(tmp_path, setting, "quick", 20.0)]
    without, residual, deepest = figures.figure6(records, "title").axes
    assert texts(without) == "no run yet: plain-32, plain-44"
    assert texts(residual) == "no run yet: ResNet-20 A, ResNet-32 A, ResNet-44 A, ResNet-56 A"
    assert texts(deepest) == "no run yet: ResNet-1202 A"
    assert {str(line.get_label()).split(",")[0] for line in without.lines} == {"plain-20", "plain-56"}
    assert {str(line.get_label()).split(",")[0] for line in deepest.lines} == {"ResNet-110 A"}


def test_what_is_missing_is_told_below_a_panel_with_curves_and_within_an_empty_one(tmp_path: Path) -> None:
    curves, empty, _ = figures.figure6(stored(tmp_path, plain(20), "quick", 20.0)).axes
    figure = curves.figure
    figure.draw_without_rendering()
    below, within = (axes.texts[0].get_window_extent() for axes in (curves, empty))
    assert below.y1 < curves.xaxis.label.get_window_extent().y0
    assert within.y0 > empty.get_window_extent().y0


def test_diamonds_stand_where_the_papers_curves_end_and_only_on_the_papers_images(tmp_path: Path) -> None:
    quick, small = (stored(tmp_path, plain(56), profile, 20.0) for profile in ("quick", "small"))
    ends = [line for line in figures.figure6(quick).axes[0].lines if line.get_marker() == "D"]
    assert [(list(line.get_xdata()), list(line.get_ydata())) for line in ends] == [
        ([pytest.approx(6400 * 1.04)], [13.2])
    ]
    assert figure6_error("plain", 56, "test") == 13.2
    assert not [line for line in figures.figure6(small).axes[0].lines if line.get_marker() == "D"]


def test_a_panel_without_records_says_so() -> None:
    for axes in figures.figure6([]).axes:
        assert texts(axes).startswith("no run yet: ")
    (axes,) = figures.curves({"nothing": []}).axes
    assert texts(axes) == "no run yet"


def test_figure_4_shows_the_papers_ends_and_says_whose_they_are() -> None:
    figure = figures.figure4("title")
    drawn = {str(line.get_label()): list(line.get_ydata()) for line in figure.axes[0].lines}
    assert drawn["plain, training"] == [figure4_error("plain", depth, "train") for depth in (18, 34)] == [31.5, 32.7]
    assert drawn["ResNet, validation"] == [31.0, 28.2]
    assert "read off" in figure.get_supxlabel()
    assert rows_of(tables.figure4())["ResNet-34"]["validation error at the end, centre crop (%)"] == "≈ 28.2"


def test_the_scaled_tables_keep_the_papers_numbers_in_a_column_of_their_own(tmp_path: Path) -> None:
    for seed in (0, 1):
        config = table1(18, "none").at(PROFILES["quick"], seed)
        save_record(made_up_record(config, train_error=20 + seed, test_error=40), tmp_path)
    rows = {row["net"]: row for row in tables.table3_scaled(Records(tmp_path)).to_dict("records")}
    assert list(rows) == [
        *("plain-18", "plain-34", "ResNet-18 A", "ResNet-34 A", "ResNet-34 B", "ResNet-34 C"),
        *("ResNet-50 B", "ResNet-101 B", "ResNet-152 B"),
    ]
    printed = [row["the paper: ImageNet, 10-crop (%)"] for row in rows.values()]
    assert printed == ["27.94", "28.54", "27.88", "25.03", "24.52", "24.19", "22.85", "21.75", "21.43"]
    assert rows["plain-18"]["tiny-imagenet-25, training (%)"] == "20.50 ± 0.71 (n=2)"
    assert rows["plain-18"]["tiny-imagenet-25, test (%)"] == "40.00 ± 0.00 (n=2)"
    assert (
        rows["plain-18"]["tiny-imagenet-100, test (%)"]
        == rows["plain-34"]["tiny-imagenet-25, test (%)"]
        == "no run yet"
    )
    chosen = tables.table3_scaled(Records(tmp_path), [table1(34, "C"), table1(34, "none")])
    assert list(chosen["net"]) == ["ResNet-34 C", "plain-34"]


def test_table_3_is_the_papers() -> None:
    rows = [tuple(row) for row in tables.published_options().itertuples(index=False)]
    assert rows == [
        ("plain-34", "28.54", "10.02", "0.00"),
        ("ResNet-34 A", "25.03", "7.76", "3.51"),
        ("ResNet-34 B", "24.52", "7.46", "4.02"),
        ("ResNet-34 C", "24.19", "7.40", "4.35"),
    ]


def test_the_follow_ups_shortcuts_are_beside_nets_that_exist_here() -> None:
    table = tables.published_shortcuts()
    assert list(table["test error (%)"]) == ["6.61", "above 20", "above 20", "12.35", "12.86", "6.91", "12.22"]
    assert set(table["like, here"]) - {""} <= {setting.name for setting in SUITES["shortcut-options"].settings}
