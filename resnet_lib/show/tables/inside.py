"""Nets looked into once they were trained: gradients, responses, and what damage or growth does to them."""

from collections.abc import Sequence
from statistics import geometric_mean, mean, median
from typing import TYPE_CHECKING

from resnet_lib.display import Table, spread, two_digits
from resnet_lib.evidence.effects import weakest_gradient, without_whole
from resnet_lib.runs.profiles import Profile
from resnet_lib.runs.records import RunRecord
from resnet_lib.runs.settings import Setting, plain, resnet
from resnet_lib.runs.store import Records
from resnet_lib.show.grouping import by_setting, studied, testing_spread, training_spread

if TYPE_CHECKING:  # these need torch
    from resnet_lib.nets.probes import LayerStatistics


def gradients(records: Sequence[RunRecord]) -> Table:
    """Gradient norms of the layers of trained nets beside their training error (section 4.1); a row per setting.

    The norms of the weakest, the median and the strongest layer are geometric means over seeds, to two digits; the
    ratio is what the claim on gradients judges. Runs without probes, which diverged, are left out.
    """
    rows = []
    for name, group in by_setting([record for record in records if record.probes])[0].items():
        norms = [record.probes.gradient_norm for record in group if record.probes]
        columns = {"weakest layer": min, "median layer": median, "strongest layer": max}
        ratios = [weakest_gradient(record) for record in group]
        rows.append(
            {"net": name, "training error (%)": training_spread(group), "weakest ÷ median": spread(ratios)}
            | {title: two_digits(geometric_mean([of(norm) for norm in norms])) for title, of in columns.items()}
        )
    return Table(rows).from_runs(records)


def layers(statistics: dict[str, "LayerStatistics"]) -> Table:
    """First, middle and last 3x3 layer of some nets: mean, deviation, gradient; see `probes.LayerStatistics`."""
    rows = []
    for name, net in statistics.items():
        last = len(net.layer) - 1
        for place, index in (("first", 0), ("middle", last // 2), ("last", last)):
            values = {"mean": net.mean, "deviation": net.std, "gradient norm": net.gradient_norm}
            values |= {"length of weights": net.weight_norm, "gradient ÷ length": net.turn}
            row = {"net": name, "3×3 layer": f"{place} ({index + 1})"}
            rows.append(row | {title: two_digits(column[index]) for title, column in values.items()})
    return Table(rows)


def lesions(study: str, profile: Profile, records: Records, settings: Sequence[Setting]) -> Table:
    """What deleting or swapping a block adds to the test error of trained nets, mean ± deviation over seeds.

    Args:
        study: "delete-block" or "swap-blocks".
        profile: at which the nets were trained.
        records: with the studies.
        settings: a row for each.
    """
    records = records.noting()
    rows = []
    for setting in settings:
        found = [without_whole(one) for one in studied(study, profile, records, [setting])]
        costs = [[error - whole for error in errors.values()] for errors, whole in found]
        rows.append(
            {
                "net": setting.name,
                "whole net (%)": spread([whole for _, whole in found]),
                "median block adds (points)": spread([median(cost) for cost in costs]),
                "worst block adds (points)": spread([max(cost) for cost in costs]),
                "blocks that add less than 1 point (%)": spread([100 * mean(c < 1 for c in cost) for cost in costs]),
            }
        )
    return Table(rows).from_runs(records.given)


GROWTH = {
    "whole net": "not deepened",
    "zero": "F(x) = 0",
    "dirac": "copies of the input",
    "dirac, settled": "copies, BN told the statistics",
    "random": "random, as in a new net",
}
"""Label of the study "growth" -> what the new blocks are at first."""


def growth(profile: Profile, records: Records) -> Table:
    """Test error of 20-layer nets deepened to 56: at once, with the batch's statistics, and after training on."""
    records = records.noting()
    rows = []
    for setting in (resnet(20), plain(20)):
        found = [dict(zip(s.label, s.value, strict=True)) for s in studied("growth", profile, records, [setting])]
        for start, blocks in GROWTH.items():
            values = [values for values in found if start in values]
            if values:
                rows.append(
                    {"net": setting.name, "new blocks": blocks}
                    | {
                        f"{title} (%)": spread([each[start + suffix] for each in values])
                        for title, suffix in (
                            ("test error at once", ""),
                            ("with the batch's statistics", ", as in training"),
                            ("after training on", ", trained on"),
                        )
                    }
                )
    return Table(rows).from_runs(records.given)


def copying(profile: Profile, records: Records) -> Table:
    """The plain net of 56 layers that is written down, copying layers and all, beside the one that is trained.

    Test errors, mean ± deviation over seeds. The batch norms of the layers that copy know the statistics of what
    reaches them, as trained ones would; `growth` has more ways to deepen a net (sections 1 and 3.1).
    """
    records = records.noting()
    found = [dict(zip(s.label, s.value, strict=True)) for s in studied("growth", profile, records, [plain(20)])]
    starts = {
        "plain-20, trained": "whole net",
        "the same net, with 36 more layers that copy": "dirac, settled",
        "that net, trained on a little": "dirac, settled, trained on",
    }
    errors = {net: spread([study[start] for study in found]) for net, start in starts.items()}
    errors["plain-56, trained from random weights"] = testing_spread(records.select(plain(56).runs(profile)))
    return Table({"net": net, "test error (%)": error} for net, error in errors.items()).from_runs(records.given)
