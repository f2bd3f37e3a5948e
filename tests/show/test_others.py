"""What others report and what was measured on their nets: the data, and how tables and figures show it beside ours."""

import re
from pathlib import Path
from statistics import mean, median

import pytest
from samples import NOWHERE, made_up_record, python

from resnet_lib.evidence.claims import verdicts
from resnet_lib.evidence.effects import by_count, without_whole
from resnet_lib.evidence.rule import interval
from resnet_lib.runs import records
from resnet_lib.runs.literature import Error, paper_error, reports
from resnet_lib.runs.paper import figure7_response, table6_mean
from resnet_lib.runs.profiles import PROFILES
from resnet_lib.runs.published import published_nets
from resnet_lib.runs.records import BlockProbes, Probes, PublishedStudy, save_record, save_study
from resnet_lib.runs.settings import DEPTHS, plain, resnet
from resnet_lib.runs.store import Records, committed_dir
from resnet_lib.show import figures, tables

PAPER = PROFILES["paper"]
NETS = published_nets()


# What others report.


def test_the_nets_of_the_manifest_give_what_their_authors_are_quoted_with() -> None:
    quoted = {
        (report.source, report.kind, depth): report.error(depth).mean for report in reports() for depth in report.errors
    }
    for net in NETS.values():
        kind = "plain" if net.config.shortcut == "none" else "residual"
        assert quoted[net.publisher.repository, kind, net.config.depth] == net.file.error


def test_runs_of_a_list_give_mean_and_deviation() -> None:
    (issue,) = (report for report in reports() if "issue 18" in report.source)
    error = issue.error(56)
    assert (round(error.mean, 2), round(error.deviation, 2), error.runs) == (7.56, 0.54, 6)
    assert error.interval == pytest.approx(interval(issue.errors[56])[1:])
    assert issue.error(20) is None


def test_a_number_alone_is_one_run_and_has_no_interval() -> None:
    first = reports()[0]
    assert first.error(20) == Error(8.64, 0.16, 5)
    assert first.error(1202) == Error(7.90, None, 1)
    assert first.error(1202).interval is None
    assert [report.error(110) for report in reports() if report.median] == [Error(6.52, None, 3), Error(6.61, None, 5)]
    assert all(low < error.mean < high for error in [first.error(110)] for low, high in [error.interval])


def test_chapter_8_says_what_the_reports_have_in_common() -> None:
    """Of plain nets there is one run for each depth; Table 6 and the options have been run with five seeds."""
    assert all(
        error.interval is None and (error.runs or 1) == 1
        for r in reports()
        if r.kind == "plain"
        for error in (r.error(d) for d in r.errors)
    )
    table6, _, *options = (report for report in reports() if report.source == "raphaelreme/torch-resnet")
    assert [report.shortcut for report in options] == ["A", "B", "C"]
    assert all(report.error(20).runs == 5 for report in options)
    assert all(table6.error(depth).runs == 5 for depth in (*DEPTHS, 110))
    distances = [table6.error(depth).mean - table6_mean(depth) for depth in (*DEPTHS, 110)]
    assert -0.4 < min(distances) < 0 < max(distances) < 0.4  # a few tenths of a point, to either side
    deepest = {
        report.source: report.error(1202).mean - report.error(110).mean
        for report in reports()
        if report.kind == "residual" and report.error(1202)
    }
    assert deepest["akamaster/pytorch_resnet_cifar10"] < 0 < deepest["raphaelreme/torch-resnet"]


def test_chapter_11_says_what_became_of_the_repositorys_number() -> None:
    """Six runs of its code are about a point worse, none as good, and two deviations reach as far; the net is real."""
    own, six = (report.error(56) for report in reports() if report.source.startswith("akamaster"))
    (runs,) = (report.errors[56] for report in reports() if "issue 18" in report.source)
    assert six.mean - own.mean == pytest.approx(1, abs=0.1)
    assert min(runs) > own.mean > six.mean - 2 * six.deviation
    net = Records(committed_dir()).published("whole-net", "akamaster/ResNet-56")
    assert net.value[0] == pytest.approx(own.mean, abs=0.01)


def test_the_papers_row_has_five_runs_at_110_layers() -> None:
    assert paper_error(110) == Error(6.61, 0.16, 5)
    assert paper_error(20) == Error(8.75)
    assert paper_error(14) is None


@pytest.fixture
def ours(tmp_path: Path) -> Records:
    """Three seeds at full length of plain-20 and ResNet-20."""
    for setting, base in ((plain(20), 9.0), (resnet(20), 8.0)):
        for seed in range(3):
            config = setting.at(PAPER, seed)
            save_record(made_up_record(config, test_error=base + 0.25 * seed), tmp_path)
    return Records(tmp_path)


def test_our_means_stand_among_those_of_others_by_profile(ours: Records) -> None:
    table = tables.literature(ours)
    mine = table[table["source"] == "this book, profile paper"]
    assert list(mine["nets"]) == ["residual", "plain"]
    assert list(mine["20 layers (%)"]) == ["8.25 ± 0.25", "9.25 ± 0.25"]
    assert list(mine["n"]) == [3, 3]
    assert list(mine["56 layers (%)"]) == ["", ""]
    assert len(table.made_from) == 6
    without = tables.literature(Records())
    assert without.made_from == ()
    assert len(without) == len(table) - 2 == len(reports()) + 2
    assert not without["source"].str.startswith("this book").any()
    assert list(table["source"])[-2:] == ["this book, profile paper"] * 2  # ours below all others


def test_a_row_tells_n_once_if_it_is_one_number() -> None:
    table = tables.literature(Records(), ["residual"]).set_index("source")
    row = table.loc["raphaelreme/torch-resnet"].iloc[0]
    assert (row["n"], row["110 layers (%)"], row["1202 layers (%)"]) == ("", "6.60 ± 0.09 (n=5)", "7.90 (n=1)")
    assert table.loc["AmroAbujabal/resnet-cifar-repro", "n"] == 3
    assert table.loc["junyuseu/ResNet-on-Cifar10", "n"] == ""
    assert set(tables.literature(Records(), ["plain"])["nets"]) == {"plain"}


def test_the_forest_plot_has_a_marker_for_each_error_and_a_bar_for_each_interval(ours: Records) -> None:
    figure = figures.literature(ours, "residual", (20, 1202), "")
    left, _ = figure.axes
    names = [text.get_text() for text in left.get_yticklabels()]
    assert (names[0], names[-1]) == ("the paper", "this book")
    markers = {line.get_label(): line for line in left.lines if not line.get_label().startswith("_")}
    assert list(markers) == names
    mine = markers["this book"]
    assert (mine.get_xdata()[0], mine.get_ydata()[0]) == (pytest.approx(8.25), len(names) - 1)
    bars = [tuple(line.get_xdata()) for line in left.lines if len(line.get_xdata()) == 2 and line.get_lw() == 2]
    assert bars[-1] == pytest.approx(interval([8.0, 8.25, 8.5])[1:])
    reported = [report.error(20) for report in reports() if report.kind == "residual" and report.error(20)]
    assert len(bars) == sum(error.interval is not None for error in reported) + 1
    assert markers["Keras"].get_marker() == "<"  # chosen on the test set
    assert mine.get_markerfacecolor() == mine.get_color()
    assert markers["a-martyn"].get_markerfacecolor() == "white"  # one run
    assert figure.series().made_from == tuple(Records.select(ours, resnet(20).runs(PAPER)))


def test_a_panel_of_the_forest_plot_has_only_sources_with_its_depth_and_is_as_high_as_they_need(ours: Records) -> None:
    figure = figures.literature(ours, "residual", (20, 1202), "")
    left, right = figure.axes
    names = [text.get_text() for text in right.get_yticklabels()]
    assert names == ["the paper", "raphaelreme, B", "akamaster"]
    assert len({text.get_text() for text in left.get_yticklabels()}) == len(left.get_yticks())
    high, low = (drawn.panel.svg for drawn in figure.drawn())
    assert height(high) > 2 * height(low)


def height(svg: str) -> float:
    return float(re.search(r'viewBox="0 0 [\d.]+ ([\d.]+)"', svg)[1])


def test_without_runs_of_ours_the_forest_plot_says_so() -> None:
    figure = figures.literature(Records(), "plain", (20, 56), "")
    assert figure._supxlabel.get_text().endswith("Ours: no run yet")


# What was measured on the nets of others.

LAYERS = {"a-martyn/plain-20": 1.0, "a-martyn/ResNet-20": 0.5, "akamaster/ResNet-20": 0.25}
BLOCKS = [f"layer{i}.{j}" for i in (1, 2, 3) for j in range(3)]


def study(name: str, net: str, values: dict[str, float], **more: object) -> PublishedStudy:
    return PublishedStudy(
        format=1,
        study=name,
        net=net,
        source=NETS[net].source,
        num_images=4,
        label=tuple(values),
        value=tuple(values.values()),
        provenance=NOWHERE,
        **more,
    )


@pytest.fixture
def measured(tmp_path: Path) -> Records:
    """Studies that nobody made, of the three nets of 20 layers."""
    for net, response in LAYERS.items():
        probes = Probes(
            layer=tuple(f"l{i}" for i in range(19)),
            response_std=tuple(response + 0.01 * i for i in range(19)),
            gradient_norm=(1.0,) * 19,
            blocks=BlockProbes(block=tuple(BLOCKS), branch_ratio=(1.0,) * 9, scale=(1.0,) * 9),
        )
        images = records.TestImages.of([True, False, True, True])
        errors = {"whole net": 25.0, "training error, 5,000 images": 1.0, "batch norm re-estimated": 26.0}
        kept = [block for block in BLOCKS if block not in ("layer2.0", "layer3.0")]
        deleted = {"whole net": 25.0} | {block: 30.0 + 10 * i for i, block in enumerate(kept)}
        swapped = {"whole net": 25.0} | {block: 25.5 for block in ("layer1.0", "layer1.1", "layer2.1", "layer3.1")}
        drawn = {"whole net": 25.0, "layer1.0+layer2.1": 40.0, "layer1.1+layer3.2": 60.0, "+".join(kept[:4]): 70.0}
        for one in (
            study("whole-net", net, errors, probes=probes, test_images=images),
            study("black-border", net, {"batch norm re-estimated": 25.5}),
            study("delete-block", net, deleted),
            study("swap-blocks", net, swapped),
            study("delete-at-random", net, drawn),
        ):
            save_study(one, tmp_path)
    return Records(tmp_path)


def test_the_table_of_their_nets_sets_ours_beside_their_authors_error(measured: Records) -> None:
    table = tables.others_nets(measured)
    assert list(table["net"]) == ["plain-20", "ResNet-20 A", "ResNet-20 A"]
    assert list(table["test error, its author (%)"]) == ["9.69", "8.04", "8.27"]
    assert list(table["here (%)"]) == ["25.00"] * 3
    assert list(table["BN re-estimated (%)"]) == ["26.00"] * 3
    assert list(table["the same, on crops (%)"]) == ["25.50"] * 3
    assert list(table["training error, its author's log (%)"]) == ["0.74", "0.40", ""]
    assert table.made_from is None  # no run of ours has a part in it


def test_lesions_of_their_nets_are_priced_as_ours_are(measured: Records) -> None:
    row = tables.others_lesions("delete-block", measured).iloc[0]
    assert (row["whole net (%)"], row["median block adds (points)"]) == ("25.00", "35.00")
    assert (row["worst block adds (points)"], row["blocks that add less than 1 point (%)"]) == ("65.00", "0")
    assert tables.others_lesions("swap-blocks", measured).iloc[0]["blocks that add less than 1 point (%)"] == "100"
    drawn = tables.others_deletions(measured).iloc[0]
    assert (drawn["2 deleted (%)"], drawn["4 deleted (%)"]) == ("50.0", "70.0")
    assert tables.others_lesions("delete-block", Records()).empty


def test_figure_7_on_their_nets_has_open_markers_and_no_mean(measured: Records) -> None:
    figure = figures.others_responses(measured, (20, 56), "")
    assert [axes.get_title(loc="left") for axes in figure.axes] == [
        "a-martyn, in order of depth",
        "a-martyn, sorted",
        "akamaster, in order of depth",
        "akamaster, sorted",
    ]
    plain, residual = figure.axes[0].lines
    assert list(plain.get_ydata()) == pytest.approx([1 + 0.01 * i for i in range(19)])
    assert (plain.get_marker(), plain.get_linestyle(), residual.get_marker()) == ("s", "--", "o")
    assert list(figure.axes[1].lines[0].get_ydata()) == sorted(plain.get_ydata(), reverse=True)
    assert {line.get_markerfacecolor() for axes in figure.axes for line in axes.lines} == {"white"}
    assert "Trained by others, one net per depth: a-martyn/resnet" in figure._supxlabel.get_text()
    assert not figures.others_responses(measured, (56,), "").axes[0].lines


def test_their_responses_stand_beside_the_papers(measured: Records) -> None:
    table = tables.others_responses(measured, (20,))
    assert list(table["trained by"]) == ["a-martyn", "a-martyn", "akamaster"]
    assert list(table["mean, theirs"]) == list(table["median, theirs"]) == ["1.09", "0.59", "0.34"]
    assert list(table["mean, paper"]) == ["≈ 1.82", "≈ 1.62", "≈ 1.62"]
    assert table.made_from is None
    assert tables.others_responses(measured, (56,)).empty


def test_lesions_of_their_nets_are_drawn_where_the_blocks_are(measured: Records) -> None:
    figure = figures.others_lesions(measured, (20,), "")
    deleted, swapped, several = figure.axes
    lines = {line.get_label(): line for line in deleted.lines}
    assert list(lines["a-martyn/plain-20, layer2"].get_xdata()) == [5, 6]
    assert list(lines["a-martyn/plain-20, layer2"].get_ydata()) == [60, 70]
    assert list({line.get_label(): line for line in swapped.lines}["akamaster/ResNet-20, layer1"].get_xdata()) == [1, 2]
    drawn = {line.get_label(): line for line in several.lines}
    assert list(drawn["a-martyn/ResNet-20, 2 deleted"].get_ydata()) == [40, 60]
    assert {line.get_markerfacecolor() for line in deleted.lines if line.get_marker() not in ("", "None")} == {"white"}
    assert figure.made_from is None
    assert "no run yet" in {
        text.get_text() for axes in figures.others_lesions(Records(), (20, 56), "").axes for text in axes.texts
    }


def test_their_nets_are_in_no_table_or_verdict_of_ours(measured: Records) -> None:
    assert list(measured) == []
    assert tables.report(PROFILES["quick"], measured, measured)["recorded, test"].unique().tolist() == ["no run yet"]
    assert {verdict.status for verdict in verdicts(measured)} == {"not yet run"}


def test_they_are_shown_without_torch() -> None:
    code = (
        "import sys; from resnet_lib.show import figures, tables; from resnet_lib.runs.store import Records;"
        "records = Records.committed(); tables.others_nets(records); figures.others_responses(records, (20, 56), '');"
        "figures.literature(records, 'residual', (20, 56), ''); sys.exit('torch' in sys.modules)"
    )
    done = python("-c", code)
    assert done.returncode == 0, done.stderr


def test_committed_nets_of_others_show_degradation_at_full_length() -> None:
    """What they are shown for: depth costs the plain nets, in training too, and not the residual ones."""
    found = Records(committed_dir())
    errors = {name: found.published("whole-net", name).value for name in NETS}
    assert errors["a-martyn/plain-56"][0] > errors["a-martyn/plain-20"][0] + 3
    assert errors["a-martyn/plain-56"][1] > errors["a-martyn/plain-20"][1]
    for author in ("a-martyn", "akamaster"):
        for part in (0, 1):  # test error, training error
            assert errors[f"{author}/ResNet-56"][part] < errors[f"{author}/ResNet-20"][part]


def responses_of(name: str, found: Records) -> tuple[float, float, float]:
    """Mean, median and largest over the layers."""
    responses = found.published("whole-net", name).probes.response_std
    return mean(responses), median(responses), max(responses)


def test_chapter_3_says_what_is_seen_in_the_responses_of_committed_nets() -> None:
    """Smaller with shortcuts, smaller with depth, by mean and median; no layer stands out, and half of the paper's."""
    found = Records(committed_dir())
    of = {name: responses_of(name, found) for name in NETS}
    for measure in (0, 1):
        for author, kind in {(net.author, net.net.partition("-")[0]) for net in NETS.values()}:
            by_depth = [of[f"{author}/{kind}-{depth}"][measure] for depth in DEPTHS]
            assert by_depth == sorted(by_depth, reverse=True)
        assert all(of[f"a-martyn/plain-{d}"][measure] > of[f"a-martyn/ResNet-{d}"][measure] for d in DEPTHS)
    for name, (middle, _, largest) in of.items():
        assert largest < 2
        if NETS[name].config.depth in (20, 56):
            kind = "plain" if NETS[name].config.shortcut == "none" else "resnet"
            assert 0.35 < middle / figure7_response(kind, NETS[name].config.depth)[0] < 0.5


def test_chapter_3_says_what_is_seen_in_the_lesions_of_committed_nets() -> None:
    found = Records(committed_dir())
    for name in (name for name, net in NETS.items() if net.config.depth in (20, 56)):
        deleted, whole = without_whole(found.published("delete-block", name))
        swapped, _ = without_whole(found.published("swap-blocks", name))
        drawn = {
            n: mean(errors)
            for n, errors in by_count(without_whole(found.published("delete-at-random", name))[0]).items()
        }
        costs = sorted(error - whole for error in deleted.values())
        if "plain" in name:  # any block, deleted or exchanged: guessing, or near it
            assert costs[0] > 40 and median(deleted.values()) > 85 and min(swapped.values()) > 85
            assert min(drawn.values()) > 85
        elif "56" in name:  # half of the blocks cost a point or two; gradually worse with their number
            assert median(costs) < 2 < 5 < costs[-1]
            assert median(swapped.values()) - whole < 0.5
            assert 2 < drawn[2] - whole < drawn[4] - whole < drawn[8] - whole and drawn[8] < 60
        else:  # every block matters
            assert costs[0] > 5
            assert drawn[2] > 50


def test_batch_norm_of_committed_nets_needs_the_border_that_they_were_trained_with() -> None:
    """Statistics over images as they are cost a point or more; over crops with a black border they change little."""
    found = Records(committed_dir())
    for name in NETS:
        whole, _, as_they_are = found.published("whole-net", name).value
        (crops,) = found.published("black-border", name).value
        assert as_they_are > whole + 0.8, name
        assert crops == pytest.approx(whole, abs=0.25), name
