"""Reading note 10: what training and validation curves say of an architecture, and what they cannot say."""

from collections.abc import Sequence
from dataclasses import dataclass
from textwrap import fill

from resnet_lib.errors import UserError
from resnet_lib.evidence.learning import guessing_error, last_fall
from resnet_lib.runs.config import NetConfig, RunConfig
from resnet_lib.runs.experiments import CANNOT_FIT, CASES, FINE, OVERFITS, SUITES, TOO_RIGID, home
from resnet_lib.runs.profiles import Profile
from resnet_lib.runs.records import RunRecord
from resnet_lib.runs.settings import Setting
from resnet_lib.runs.store import Records

UNDECIDED = "cannot fit or too rigid"  # alike in the curves; a second run tells them apart
DIVERGED = "diverged"

# Each threshold lies halfway, on a scale of ratios and rounded, between the runs on either side of it: the suite
# `thresholds` at `small`, whose seeds judge nothing; a test works them out again. Errors and gaps count in shares of
# the error of guessing, so that two classes and ten can be read alike.
HIGH_TRAINING = 1 / 8  # of guessing; at most 0.05 in nets that fit, at least 0.32 in nets that do not
WIDE_GAP = 1 / 5  # of guessing; at most 0.12 in the fine net, at least 0.34 in the one that overfits
HEAD_HELPS = 1 / 3  # of both errors left by a head; at most 0.11 where it was missing, at least 1.08 where it was not

SECOND_RUN = "Train the same net again with a small head of one or two hidden FC layers."
STRONGER_BACKBONE = (
    "Change the backbone, not the head. First make it trainable (shortcuts, batch norm, learning rate, a schedule "
    "that ends); only then make it larger."
)
KEEP_HEAD = "Keep the small FC head, and diagnose the run that has it."
LESS_HEAD = "Take FC layers out of the head: global average pooling and a single one. Then diagnose again."
MORE_IMAGES = (
    "The head is as small as it can be, so it is not to blame: more images or stronger augmentation, then a smaller "
    "backbone."
)
KEEP = "Keep this architecture. What is left is refinement: the schedule, the width, and the test set once, at the end."
LOWER_LR = "Lower the learning rate, or normalise; a run that diverged says nothing of the architecture."


@dataclass(frozen=True)
class Diagnosis:
    """The case that a run is, the numbers that say so in one or two sentences, and what to do next."""

    case: str
    evidence: str
    next_step: str

    def __str__(self) -> str:
        lines = (f"Case: {self.case}", f"Evidence: {self.evidence}", f"Next: {self.next_step}")
        return "\n".join(fill(line, 80, subsequent_indent="  ") for line in lines)


def diagnose(record: RunRecord, with_head: RunRecord | None = None) -> Diagnosis:
    """Names the case of a run from its training and validation errors (reading note 10).

    Judged are the errors of the last iteration, on the training images without augmentation and on the images held
    back; the curves say how they came about. Without held-back images the record has test errors only. They are read
    then, and the evidence says so; an architecture chosen by them has no test set left.

    Args:
        record: the run in question.
        with_head: the run that differs in nothing but a larger FC head. Looked at only when training error is high,
            because only then do the curves leave two cases open.

    Raises:
        UserError: `with_head` differs in something else, or its head is no larger; unknown data set.
    """
    if with_head is not None:
        _check_pair(record.config, with_head.config)
    if record.diverged_at is not None:
        return Diagnosis(DIVERGED, f"The loss was not finite after {record.diverged_at:,} iterations.", LOWER_LR)
    guessing, held_out = guessing_error(record), _held_out(record)
    train, gap = record.final.train_error, record.final.test_error - record.final.train_error
    if train > HIGH_TRAINING * guessing:
        evidence = (
            f"Training error is {train:.1f}%, where guessing has {guessing:.1f}%; {held_out} error is "
            f"{abs(gap):.1f} points {'higher' if gap >= 0 else 'lower'}."
        )
        if (fall := last_fall(record)) is not None:
            evidence += f" Over the last quarter, training error lay {fall:.1f} points below the quarter before."
        return _does_not_fit(record, with_head, evidence)
    evidence = (
        f"Training error is {train:.1f}%, {held_out} error {record.final.test_error:.1f}%: a gap of {gap:.1f} points"
    )
    if gap > WIDE_GAP * guessing:
        lowest = min(record.test_curve.error)
        when = record.test_curve.iteration[record.test_curve.error.index(lowest)]
        evidence += f". The lowest {held_out} error, {lowest:.1f}%, was reached by iteration {when:,}."
        net = record.config.net
        return Diagnosis(OVERFITS, evidence, LESS_HEAD if _has_large_head(net) else MORE_IMAGES)
    return Diagnosis(FINE, f"{evidence}, where guessing has {guessing:.1f}%.", KEEP)


def _does_not_fit(record: RunRecord, with_head: RunRecord | None, evidence: str) -> Diagnosis:
    """Training error is high: the backbone cannot fit, or the decision is too rigid. Only a second run can tell."""
    if with_head is None:
        return Diagnosis(UNDECIDED, evidence, SECOND_RUN)
    if with_head.diverged_at is not None:
        return Diagnosis(UNDECIDED, f"{evidence} The run with a head diverged.", LOWER_LR)
    before, after = record.final, with_head.final
    evidence += (
        f" With the head, training error went from {before.train_error:.1f}% to {after.train_error:.1f}%, "
        f"{_held_out(record)} error from {before.test_error:.1f}% to {after.test_error:.1f}%."
    )
    # Both: a head that merely memorises lowers training error alone.
    if after.train_error <= HEAD_HELPS * before.train_error and after.test_error <= HEAD_HELPS * before.test_error:
        return Diagnosis(TOO_RIGID, evidence, KEEP_HEAD)
    return Diagnosis(CANNOT_FIT, evidence, STRONGER_BACKBONE)


def _has_large_head(net: NetConfig) -> bool:
    """Whether there is more between features and classes than an average and one fully connected layer."""
    deep = net.family == "fully-connected" and net.depth > 1
    return deep or bool(net.head) or net.pool == "flatten"


def _held_out(record: RunRecord) -> str:
    """What the record's second curve was measured on."""
    return "validation" if record.config.data.validation else "test"


def _check_pair(run: RunConfig, headed: RunConfig) -> None:
    """That two runs differ in the head alone. A fully connected net is all head, so there it is the depth."""
    size = "depth" if run.net.family == "fully-connected" else "head"
    rest = {"net": {size}}
    if run.model_dump(exclude=rest) != headed.model_dump(exclude=rest):
        raise UserError(f"{headed.name} differs from {run.name} in more than its FC head; train that net, with a head")
    if getattr(headed.net, size) <= getattr(run.net, size):
        raise UserError(f"{headed.name} has no larger head than {run.name}; the second run needs one")


# ------------------------------------------------------------------------------------------------- is it ever right?


@dataclass(frozen=True)
class Judged:
    """A run that was built to be a case, and what the diagnosis makes of it, without and with the second run."""

    record: RunRecord
    built: str
    alone: Diagnosis
    diagnosis: Diagnosis

    @property
    def is_right(self) -> bool:
        """Whether the diagnosis, with all the runs it needs, names the case."""
        return self.diagnosis.case == self.built


def of_setting(runs: Sequence[RunRecord], setting: Setting | None) -> dict[int, RunRecord]:
    """Those of the runs that a setting of the suite `diagnoses` makes, by seed."""
    places = ((record, home(record.config)) for record in runs)
    return {record.config.seed: record for record, place in places if place is not None and place.setting == setting}


def judged(runs: Sequence[RunRecord]) -> list[Judged]:
    """All constructed runs that come with the second runs they need, seed by seed.

    Args:
        runs: of the suite `diagnoses`, all of one profile, in any order.
    """
    found = [(case, of_setting(runs, case.setting), of_setting(runs, case.second)) for case in CASES]
    return [
        Judged(first[seed], case.built, diagnose(first[seed]), diagnose(first[seed], second.get(seed)))
        for seed in sorted({record.config.seed for record in runs})
        for case, first, second in found
        if seed in first and (seed in second or case.second is None)
    ]


def right(profile: Profile, records: Records) -> dict[int, list[bool]]:
    """Per seed that has all its runs, of each constructed case whether it is named rightly."""
    by_seed: dict[int, list[bool]] = {}
    for case in judged(records.select(SUITES["diagnoses"].runs(profile))):
        by_seed.setdefault(case.record.config.seed, []).append(case.is_right)
    return {seed: cases for seed, cases in by_seed.items() if len(cases) == len(CASES)}
