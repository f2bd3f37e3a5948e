"""Chapter 15: how far residual nets go, how long the gradient's paths are, and by what layers slow down training."""

from collections.abc import Sequence
from itertools import pairwise
from statistics import geometric_mean, mean

from resnet_lib.display import Table
from resnet_lib.evidence.effects import measured, path_shares, time_to_learn
from resnet_lib.runs.profiles import Profile
from resnet_lib.runs.settings import DEPTHS, plain, resnet
from resnet_lib.runs.store import Records
from resnet_lib.show.figures.signals import at_full_length, steps_of_trained


def steps(records: Records) -> Table:
    """The relative steps std F(x) / std x of residual nets trained to the end: their mean and their sum, net by net."""
    records = records.noting()
    rows = [
        {
            "net": name.partition("/")[2],
            "blocks": len(steps),
            "sum of the steps": f"{sum(steps):.1f}",
            "mean step": f"{mean(steps):.2f}",
            "trained by": name.partition("/")[0],
        }
        for name, steps in steps_of_trained(records).items()
    ]
    return Table(rows).from_runs(records.given)


def path_lengths(records: Records, depths: Sequence[int]) -> Table:
    """How many residual branches a path of the gradient takes, in residual nets trained to the end: net by net.

    The mean is weighted by what the paths of a length bring together. `r` is what one branch passes on, relative to the
    shortcut beside it, if it is the same in all blocks: then the mean length of n blocks is n r / (1 + r).
    """
    records = records.noting()
    rows = []
    for net, study in at_full_length("gradient-paths", records, [resnet(depth) for depth in depths], depths):
        shares = path_shares(study)
        blocks = len(shares) - 1
        length = sum(number * share for number, share in enumerate(shares)) / 100
        rows.append(
            {
                "net": study.config.net.name.removesuffix(" A") if net is None else net.name.partition("/")[2],
                "blocks": blocks,
                "mean length of a path": f"{blocks / 2:.1f}",
                "of the gradient's": f"{length:.1f}",
                "r": f"{length / (blocks - length):.2f}",
                "trained by": "this book" if net is None else net.name.partition("/")[0],
            }
        )
    return Table(rows).from_runs(records.given)


def slowed_down(profiles: Sequence[Profile], records: Records) -> Table:
    """By how much twelve more layers multiply the time until a net has learned, from geometric means over seeds.

    A net that has not learned by the end has taken the whole run, or more.
    """
    records = records.noting()
    rows = []
    for profile in profiles:
        for kind, net in (("plain", plain), ("residual", resnet)):
            times = {depth: measured(net(depth), profile, records, time_to_learn).values() for depth in DEPTHS}
            row = {"nets": kind, "runs on": profile.label}
            for one, other in pairwise(DEPTHS):
                known = times[one] and times[other]
                factor = geometric_mean(times[other]) / geometric_mean(times[one]) if known else None
                more = " or more" if profile.recipe.iterations in times[other] else ""
                row[f"{one} to {other} layers"] = f"× {factor:.2f}{more}" if known else "not yet run"
            rows.append(row)
    return Table(rows).from_runs(records.given)
