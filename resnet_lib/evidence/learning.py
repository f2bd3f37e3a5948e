"""Whether a net has learned anything when its training ends. A net that has not says nothing about what depth costs."""

from collections.abc import Sequence
from statistics import median

from resnet_lib.errors import lookup
from resnet_lib.runs.records import RunRecord

NUM_CLASSES = {"cifar10": 10, "cifar100": 100, "fashion-mnist-mini": 10, "digits": 10}
NUM_CLASSES |= {"tiny-imagenet-100": 100, "tiny-imagenet-25": 25}
NUM_CLASSES |= {"breast-cancer": 2, "wine": 3, "parity": 2}  # as `data` and `tabular` have them, without torch

LEARNED = 2 / 3  # of the error of guessing; 60% among ten classes. A change needs a notice in `claims_log.yml`
FALLING = 1.0  # points by which the last quarter of the curve must lie below the quarter before


def guessing_error(record: RunRecord) -> float:
    """Error in percent of guessing among classes of equal size.

    Raises:
        UserError: the data set is not one of the package's.
    """
    return 100 * (1 - 1 / lookup(NUM_CLASSES, record.config.data.name, "data set"))


def has_learned(record: RunRecord, share: float = LEARNED) -> bool:
    """Whether the training error at the end is below such a share of that of guessing."""
    return record.diverged_at is None and record.final.train_error < share * guessing_error(record)


def last_fall(record: RunRecord) -> float | None:
    """Points by which the training curve's mean fell from the third quarter of the run to the last; None if too short.

    Means, because single points are noisy. It is no more than a hint that the run was cut short: a lower learning rate
    makes the curve fall once, whether or not there is more to come.
    """
    curve, end = record.train_curve, record.train_curve.iteration[-1]
    points = list(zip(curve.iteration, curve.error, strict=True))
    before = [error for at, error in points if end / 2 < at <= 0.75 * end]
    last = [error for at, error in points if at > 0.75 * end]
    return sum(before) / len(before) - sum(last) / len(last) if before else None


def not_started(runs: Sequence[RunRecord], share: float = LEARNED) -> str:
    """What kept a setting's runs from being asked, or nothing if half of them or more have learned.

    plain-56 ends at 73% training error and still falls.
    """
    if not runs or sum(has_learned(run, share) for run in runs) * 2 >= len(runs):
        return ""
    falls = [fall for run in runs if (fall := last_fall(run)) is not None]
    state = "still falls" if falls and median(falls) > FALLING else "falls no more"
    return (
        f"{runs[0].config.net.name} ends at {median(run.final.train_error for run in runs):.0f}% training error "
        f"(median) and {state}"
    )
