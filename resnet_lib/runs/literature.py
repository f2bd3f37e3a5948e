"""What others measured with the nets of Table 6 on CIFAR-10: `literature.yml`, for a table and a forest plot."""

import json
from dataclasses import dataclass
from functools import cache
from statistics import mean, stdev
from typing import Literal

import yaml
from scipy.stats import t as student_t

from resnet_lib.files import PACKAGE
from resnet_lib.runs.config import Frozen, Positive
from resnet_lib.runs.paper import table6_error, table6_mean

Kind = Literal["residual", "pre-activation", "plain"]


@dataclass(frozen=True)
class Error:
    """A test error in percent: of so many runs, None if that is not told. `deviation` is over the runs, if known."""

    mean: float
    deviation: float | None = None
    runs: int | None = None

    @property
    def interval(self) -> tuple[float, float] | None:
        """The 95% Student interval of the mean, or None where the deviation is not known."""
        if self.deviation is None or self.runs is None:
            return None
        half = float(student_t.ppf(0.975, self.runs - 1)) * self.deviation / self.runs**0.5
        return self.mean - half, self.mean + half

    def __str__(self) -> str:
        return f"{self.mean:.2f}" if self.deviation is None else f"{self.mean:.2f} ± {self.deviation:.2f}"


class Report(Frozen):
    """What one source says of one kind of net.

    A number with ± is the mean of `runs`, a list has an error for each run, and a number alone is that of one run
    (their median, if `median`). `epoch` is the one whose net was tested, and `differs` how the training differs from
    the paper's. What is not told is None.
    """

    source: str
    licence: str | None = None
    kind: Kind
    shortcut: Literal["none", "A", "B", "C"] | None = None
    epoch: Literal["last", "best on test"] | None = None
    runs: Positive | None = None
    median: bool = False
    differs: str
    errors: dict[int, float | str | tuple[float, ...]]

    def error(self, depth: int) -> Error | None:
        """Of the net with so many layers, or None."""
        match self.errors.get(depth):
            case None:
                return None
            case tuple(values):
                return Error(mean(values), stdev(values), len(values))
            case str(text):
                middle, deviation = map(float, text.split("±"))
                return Error(middle, deviation, self.runs)
            case number:
                return Error(number, runs=self.runs if self.median or self.runs is None else 1)


@cache
def reports() -> tuple[Report, ...]:
    """All of `literature.yml`, in its order."""
    content = yaml.safe_load((PACKAGE / "runs" / "literature.yml").read_text(encoding="utf-8"))
    return tuple(Report.model_validate_json(json.dumps(entry)) for entry in content)


def paper_error(depth: int) -> Error | None:
    """Table 6's error of a residual net: the mean of five runs at 110 layers, else of one run, or of more not told."""
    middle, text = table6_mean(depth), table6_error(depth)
    if middle is None or text is None:
        return None
    deviation = text.partition("±")[2].rstrip(")")
    return Error(middle, float(deviation), 5) if deviation else Error(middle)
