"""Chapter 10: which case each run is."""

from collections.abc import Sequence

from resnet_lib.display import Table
from resnet_lib.evidence.diagnosis import diagnose, judged
from resnet_lib.runs.records import RunRecord
from resnet_lib.show.grouping import data_name


def diagnoses(records: Sequence[RunRecord]) -> Table:
    """Chapter 10: each run that was built to be a case, what the diagnosis makes of it, and whether that is right."""
    return Table(
        {
            "seed": f"{case.record.config.seed}" + (", held back" if case.held_back else ""),
            "net": case.record.config.net.name,
            "training error (%)": f"{case.record.final.train_error:.1f}",
            "validation error (%)": f"{case.record.final.test_error:.1f}",
            "built to be": case.built,
            "from the curves alone": case.alone.case,
            "with the second run": case.diagnosis.case,
            "right": "yes" if case.is_right else "no",
        }
        for case in judged(records)
    ).from_runs(records)


def diagnosed(records: Sequence[RunRecord]) -> Table:
    """Any runs with the case that each is, from its own curves alone."""
    return Table(
        {
            "net": record.config.net.name,
            "data": data_name(record.config.data),
            "seed": record.config.seed,
            "training error (%)": f"{record.final.train_error:.1f}",
            "test error (%)": f"{record.final.test_error:.1f}",
            "case": diagnose(record).case,
        }
        for record in records
    ).from_runs(records)
