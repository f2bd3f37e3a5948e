"""What others made: nets that they trained and we measured, and errors that they report. No mean of ours has them."""

from collections.abc import Sequence
from statistics import mean, median

from resnet_lib.display import Cards, Table
from resnet_lib.evidence.effects import by_count, without_whole
from resnet_lib.runs.literature import Kind
from resnet_lib.runs.paper import figure7_response
from resnet_lib.runs.store import Records
from resnet_lib.show.others import REPORTED_DEPTHS, Reported, reported, studied_of_others


def others_nets(records: Records) -> Table:
    """Nets that others trained at full length: what their authors give, and what they give here. One net for a row.

    Errors in percent on CIFAR-10. Training errors are those of the finished net: on augmented images in its author's
    log, on images as they are here. Batch norm's statistics are also re-estimated, over training images as they are
    and over crops with the black border that these nets were trained with.
    """
    bordered = {net.name: study.value[0] for net, study in studied_of_others("black-border", records)}
    rows = []
    for net, study in studied_of_others("whole-net", records):
        whole, training, settled = study.value
        logged, crops = net.file.training_error, bordered.get(net.name)
        rows.append(
            {
                "net": net.config.name,
                "trained by": net.author,
                "epoch": net.publisher.epoch,
                "test error, its author (%)": f"{net.file.error:.2f}",
                "here (%)": f"{whole:.2f}",
                "BN re-estimated (%)": f"{settled:.2f}",
                "the same, on crops (%)": "" if crops is None else f"{crops:.2f}",
                "best epoch, its author (%)": f"{net.file.best_error:.2f}",
                "training error, its author's log (%)": "" if logged is None else f"{logged:.2f}",
                "training error, here (%)": f"{training:.2f}",
            }
        )
    return Table(rows)


def others_responses(records: Records, depths: Sequence[int]) -> Table:
    """Responses of nets that others trained at full length, mean and median over their 3x3 layers, and the paper's.

    The paper's are read off its Figure 7, which must have nets of these depths. One net for a row.
    """
    rows = []
    for net, study in studied_of_others("whole-net", records):
        if (depth := net.config.depth) in depths:
            responses = study.probes.response_std
            middle, half = figure7_response("plain" if net.config.shortcut == "none" else "resnet", depth)
            rows.append(
                {
                    "net": net.config.name,
                    "trained by": net.author,
                    "mean, paper": f"≈ {middle:.2f}",
                    "mean, theirs": f"{mean(responses):.2f}",
                    "median, paper": f"≈ {half:.2f}",
                    "median, theirs": f"{median(responses):.2f}",
                }
            )
    return Table(rows)


def others_lesions(study: str, records: Records) -> Table:
    """What deleting or swapping a block adds to the test error of nets that others trained, one net for a row.

    Args:
        study: "delete-block" or "swap-blocks".
        records: with the studies.
    """
    rows = []
    for net, found in studied_of_others(study, records):
        errors, whole = without_whole(found)
        costs = [error - whole for error in errors.values()]
        rows.append(
            {
                "net": net.config.name,
                "trained by": net.author,
                "whole net (%)": f"{whole:.2f}",
                "median block adds (points)": f"{median(costs):.2f}",
                "worst block adds (points)": f"{max(costs):.2f}",
                "blocks that add less than 1 point (%)": f"{100 * mean(cost < 1 for cost in costs):.0f}",
            }
        )
    return Table(rows)


def others_deletions(records: Records) -> Table:
    """Test error of nets that others trained without some blocks drawn at random: the mean over a few draws."""
    rows = []
    for net, study in studied_of_others("delete-at-random", records):
        errors, whole = without_whole(study)
        row = {"net": net.config.name, "trained by": net.author, "whole net (%)": f"{whole:.2f}"}
        for count, drawn in by_count(errors).items():
            row[f"{count} deleted (%)"] = f"{mean(drawn):.1f}"
        rows.append(row)
    return Table(rows).fillna("")


def literature(records: Records, kinds: Sequence[Kind] = ("residual", "pre-activation", "plain")) -> Table:
    """What others report for the nets of Table 6 on CIFAR-10, with the paper's numbers and our means over seeds.

    Test errors in percent come first, means ± deviation where there are several runs. n is the number of runs, told
    beside an error where its row has different ones. What a source does not tell is empty. Ours come last.
    """
    records = records.noting()
    rows = [(kind, row) for kind in kinds for row in reported(kind, records)]
    table = Cards(literature_row(kind, row) for kind, row in sorted(rows, key=lambda pair: pair[1].ours))
    return table.with_notes("nets", "option", "n", "epoch", "differs in").from_runs(records.given)


def literature_row(kind: Kind, row: Reported) -> dict[str, object]:
    """One source's errors of one kind of net, by depth, and how they were made."""
    several = {error.runs for error in row.errors.values()}
    errors = {}
    for depth in REPORTED_DEPTHS:
        error = row.errors.get(depth)
        count = f" (n={error.runs})" if error and len(several) > 1 and error.runs else ""
        errors[f"{depth} layers (%)"] = f"{error}{count}" if error else ""
    made = {
        "nets": kind,
        "option": row.shortcut,
        "n": next(iter(several)) or "" if len(several) == 1 else "",
        "epoch": row.epoch,
        "differs in": row.differs,
    }
    return {"source": row.source} | errors | made
