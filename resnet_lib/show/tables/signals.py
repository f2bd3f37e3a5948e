"""Chapter 17: how far residual nets go in all, block by block."""

from statistics import mean

from resnet_lib.display import Table
from resnet_lib.runs.store import Records
from resnet_lib.show.figures.signals import steps_of_trained


def steps(records: Records) -> Table:
    """The relative steps std F(x) / std x of residual nets trained to the end: their mean and their sum, net by net."""
    records = records.noting()
    rows = [
        {
            "net": name.partition("/")[2],
            "trained by": name.partition("/")[0],
            "blocks": len(steps),
            "mean step": f"{mean(steps):.2f}",
            "sum of the steps": f"{sum(steps):.1f}",
        }
        for name, steps in steps_of_trained(records).items()
    ]
    return Table(rows).from_runs(records.given)
