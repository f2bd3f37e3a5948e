"""What a run leaves behind (`RunRecord`), and what was measured on its net afterwards (`Study`).

Nothing here needs torch: tables, figures and claims read records on any machine. Loading is strict: a missing, extra
or malformed field is refused with the file and the field named.
"""

import base64
import json
from collections.abc import Callable, Sequence
from functools import cache
from math import isclose
from pathlib import Path
from typing import Annotated, Literal, TypeVar

import numpy as np
from pydantic import Field, ValidationError, model_validator

from resnet_lib.errors import UserError, reason
from resnet_lib.files import read_regular, write_atomically
from resnet_lib.runs.config import Finite, Frozen, NonNegative, Positive, RunConfig

STUDIES = "studies"  # the folder of studies, inside one of records
PUBLISHED = "published"  # the folder of studies of nets that others trained, inside one of records

MOST_BYTES = 16 << 20  # of a record or study; the longest have some 100 kB

Percent = Annotated[float, Field(ge=0, le=100)]
# A stranger's text has a narrow alphabet, and what may be shown has neither controls nor what HTML or a shell reads.
Layer = Annotated[str, Field(pattern=r"^[\w.]{1,80}$")]
Shown = Annotated[str, Field(pattern=r"""^[^\p{C}\p{Zl}\p{Zp}<>&"'`\\]{0,200}$""")]
Word = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,64}$")]
Hex = Annotated[str, Field(pattern=r"^[0-9a-f]{1,64}$")]
Day = Annotated[str, Field(pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$")]


class TrainCurve(Frozen):
    """Means over the batches since the point before, on augmented images while the weights move. Error in percent.

    A loss that was not finite is None, here and below.
    """

    iteration: tuple[Positive, ...]
    lr: tuple[Finite, ...]
    loss: tuple[Finite | None, ...]
    error: tuple[Percent, ...]


class TestCurve(Frozen):
    """Evaluations on the whole test set. Error in percent."""

    iteration: tuple[Positive, ...]
    loss: tuple[Finite | None, ...]
    error: tuple[Percent, ...]


class Final(Frozen):
    """The net of the last iteration on the whole training set (not augmented) and test set. Errors in percent.

    A net that diverged has no loss, and the error of guessing.
    """

    train_loss: Finite | None
    train_error: Percent
    test_loss: Finite | None
    test_error: Percent


class BlockProbes(Frozen):
    """Per block, in order of depth, with batch norm as in training, on the images of `Probes.gradient_norm`.

    `branch_ratio` is the standard deviation of F(x), before the addition, over that of what the shortcut adds to it.
    In a plain net it is the same of the layers that would be a block: their output over their input. None where the
    latter is constant. `scale` is the mean of |gamma|, the scale of the block's last batch norm; empty without any.
    """

    block: tuple[Layer, ...]
    branch_ratio: tuple[Finite | None, ...]
    scale: tuple[Finite, ...] = ()

    @model_validator(mode="after")
    def _consistent(self) -> "BlockProbes":
        lengths = {field: len(column) for field, column in self.model_dump(exclude_defaults=True).items()}
        if len(set(lengths.values())) != 1:
            raise ValueError(f"columns must be of one length, not {lengths}")
        return self


class Probes(Frozen):
    """Per 3x3 layer of the trained net, in order of depth (Figure 7 and section 4.1).

    `response_std` is the standard deviation of the layer's output after batch norm, before ReLU or addition, on 1,000
    test images. `gradient_norm` is the Euclidean norm of the loss's gradient for the layer's weights, on 1,000
    training images, with batch norm as in training. A net that has not been trained yet has no running statistics, and
    its responses are measured with the batch's.
    """

    layer: tuple[Layer, ...]
    response_std: tuple[Finite, ...]
    gradient_norm: tuple[Finite, ...]
    blocks: BlockProbes | None = None


class ProbesAt(Probes):
    """Probes of a net that has trained for so many iterations."""

    iteration: NonNegative


class TestImages(Frozen):
    """Which images of the test set the net of the last iteration gets right, in the data set's order.

    `right` has one bit for each image, the first in the highest bit of the first byte, in base 64.
    """

    count: Positive
    right: str

    @model_validator(mode="after")
    def _whole(self) -> "TestImages":
        try:
            packed = base64.b64decode(self.right, validate=True)
        except ValueError:
            raise ValueError("right is not in base 64") from None
        unused = -self.count % 8
        if len(packed) * 8 != self.count + unused or packed[-1] & ((1 << unused) - 1):
            raise ValueError(f"right must have one bit for each of {self.count} images")
        return self

    @classmethod
    def of(cls, right: Sequence[bool]) -> "TestImages":
        """As stored."""
        return cls(count=len(right), right=base64.b64encode(np.packbits(right).tobytes()).decode())

    def unpacked(self) -> np.ndarray:
        """Bool (count,)."""
        return np.unpackbits(np.frombuffer(base64.b64decode(self.right), np.uint8), count=self.count).astype(bool)


class Segment(Frozen):
    """A part of a run that was interrupted: after how many iterations it began, and where and how it was worked on."""

    iteration: NonNegative
    git_commit: Hex | None
    git_dirty: bool | None
    torch: Shown
    device: Shown
    precision: Literal["fp32", "bf16"]
    compiled: bool
    date: Day  # on which it began
    code: Hex | None = None  # digest of the package's code; None in what was begun before it was kept
    data_digest: Word | None = None  # likewise


class Provenance(Frozen):
    """Where a record comes from. It names no path and no person.

    With several processes, or parts of a batch worked on one after the other, batch norm sees only so much of a batch.
    Of a run that was interrupted `segments` are the parts, and the other fields are those of the last one.
    """

    package: Shown
    git_commit: Hex | None
    git_dirty: bool | None  # whether the package's code differed from that commit
    python: Shown
    torch: Shown
    device: Shown
    threads: Positive
    precision: Literal["fp32", "bf16"]
    compiled: bool
    data_digest: Word
    date: Day
    seconds: Annotated[Finite, Field(ge=0)]  # training and evaluation, over all parts of an interrupted run
    images_per_second: Annotated[Finite, Field(ge=0)]  # training images, evaluation time included
    processes: Positive = 1
    parts: Positive = 1  # of the share that each process has of a batch
    segments: tuple[Segment, ...] = ()

    @property
    def core_hours(self) -> float:
        """Hours by the clock times the threads that were at work."""
        return self.seconds * self.threads * self.processes / 3600


class RunRecord(Frozen):
    """What one run left behind: one JSON file, complete and strict.

    `probes` is None for a net without 3x3 layers and for one that diverged. `probes_on_the_way` are those of a long run
    before it ends. `test_images` is None in records made before it was kept. `diverged_at` is the iteration at which a
    loss that was not finite ended the run; the curves end before it. `weights_sha256` is the digest of the file of
    weights that the run left, None in records made before it was kept.
    """

    format: Literal[1]
    config: RunConfig
    train_curve: TrainCurve
    test_curve: TestCurve
    final: Final
    probes: Probes | None = None
    probes_on_the_way: tuple[ProbesAt, ...] = ()
    test_images: TestImages | None = None
    diverged_at: Positive | None = None
    weights_sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")] | None = None
    provenance: Provenance

    @model_validator(mode="after")
    def _consistent(self) -> "RunRecord":
        for label, table in (
            ("train_curve", self.train_curve),
            ("test_curve", self.test_curve),
            *(("probes", probes) for probes in (self.probes, *self.probes_on_the_way) if probes is not None),
        ):
            lengths = {field: len(column) for field, column in table if isinstance(column, tuple)}
            if len(set(lengths.values())) != 1 or not min(lengths.values()):
                raise ValueError(f"{label}: columns must be of one length and not empty, not {lengths}")
        end = self.diverged_at or self.config.recipe.iterations
        for label, iterations in (
            ("train_curve", self.train_curve.iteration),
            ("test_curve", self.test_curve.iteration),
        ):
            if list(iterations) != sorted(set(iterations)) or iterations[-1] != end:
                raise ValueError(f"{label}.iteration must rise to {end}")
        if self.test_curve.error[-1] != self.final.test_error:
            raise ValueError(
                f"final.test_error is {self.final.test_error}, but the last point of test_curve is "
                f"{self.test_curve.error[-1]}"
            )
        if (images := self.test_images) is not None:
            wrong = 100 * (1 - images.unpacked().mean())
            if not isclose(wrong, self.final.test_error, abs_tol=1e-4):
                raise ValueError(
                    f"test_images.right has {wrong:g}% wrong, and final.test_error is {self.final.test_error}"
                )
        return self

    def to_json(self) -> str:
        """JSON with one line per list, so that a change of one number changes one line. Defaults are left out."""
        return _pretty(self.model_dump(mode="json", exclude_defaults=True)) + "\n"


StudyName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,39}$")]  # part of the names of files


class Study(Frozen):
    """What was measured on a trained net after its run, such as the error with each block deleted.

    One JSON file per study and run, under `studies/` of a folder of records. `label` names what was done, `value` says
    what came of it.
    """

    format: Literal[1]
    study: StudyName
    config: RunConfig  # of the run whose net it is
    num_images: Positive  # test images used
    label: tuple[Shown, ...]
    value: tuple[Finite, ...]
    provenance: Provenance

    @model_validator(mode="after")
    def _consistent(self) -> "Study":
        as_many_of_both(self.label, self.value)
        return self

    @property
    def name(self) -> str:
        """Readable and unique: lesion_plain-56_cifar10-32px_..."""
        return f"{self.study}_{self.config.name}"

    def to_json(self) -> str:
        """As for a record."""
        return _pretty(self.model_dump(mode="json", exclude_defaults=True)) + "\n"


class Source(Frozen):
    """The file in a repository on GitHub from which a net comes."""

    repository: Shown
    commit: Hex
    path: Shown
    sha256: Hex


class PublishedStudy(Frozen):
    """What was measured on a net that others trained and published, as it is or changed like those of a `Study`.

    One JSON file per study and net, under `published/` of a folder of records. It is no run's: nothing that counts
    runs or seeds finds it. A study of the net as it is also has its probes and which test images it gets right.
    """

    format: Literal[1]
    study: StudyName
    net: Annotated[str, Field(pattern=r"^[\w-]{1,40}/[\w.-]{1,40}$")]  # a name of `published.published_nets`
    source: Source
    num_images: Positive  # test images used
    label: tuple[Shown, ...]
    value: tuple[Finite, ...]
    probes: Probes | None = None
    test_images: TestImages | None = None
    provenance: Provenance

    @model_validator(mode="after")
    def _consistent(self) -> "PublishedStudy":
        as_many_of_both(self.label, self.value)
        if (images := self.test_images) is not None:
            wrong = 100 * (1 - images.unpacked().mean())
            if images.count != self.num_images or not isclose(wrong, self.value[0], abs_tol=1e-4):
                raise ValueError(f"test_images.right has {wrong:g}% wrong, and the first value is {self.value[0]}")
        return self

    @property
    def name(self) -> str:
        """Readable and unique: delete-block_a-martyn_plain-56."""
        return published_name(self.study, self.net)

    def to_json(self) -> str:
        """As for a record."""
        return _pretty(self.model_dump(mode="json", exclude_defaults=True)) + "\n"


def published_name(study: str, net: str) -> str:
    """What a study of a net that others trained is called."""
    return f"{study}_{net.replace('/', '_')}"


def as_many_of_both(label: Sequence[str], value: Sequence[float]) -> None:
    """Raises ValueError unless each value of a study has a label, and there is one."""
    if len(label) != len(value) or not label:
        raise ValueError(f"{len(label)} labels, {len(value)} values: as many of both, and not none")


def _pretty(value: object, indent: str = "") -> str:
    inner = indent + "  "
    if isinstance(value, dict):
        lines = [f"{inner}{json.dumps(key)}: {_pretty(item, inner)}" for key, item in value.items()]
        return "{\n" + ",\n".join(lines) + f"\n{indent}}}"
    if isinstance(value, list) and value and isinstance(value[0], dict):
        return "[\n" + ",\n".join(f"{inner}{_pretty(item, inner)}" for item in value) + f"\n{indent}]"
    return json.dumps(value, allow_nan=False)


Stored = TypeVar("Stored", RunRecord, Study, PublishedStudy)
AnyStudy = TypeVar("AnyStudy", Study, PublishedStudy)
Check = Callable[[Path, bytes], object]


def load_record(path: Path, check: Check | None = None) -> RunRecord:
    """Reads one record; `check` is told the content before anything is made of it.

    Raises:
        UserError: the file cannot be read, is not JSON, or a field is missing, extra or malformed (the field is named).
    """
    record = _load(path, RunRecord, check)
    if path.stem != record.config.name:
        raise UserError(f"{path}: config: this is the record of {record.config.name}; rename or restore the file")
    return record


def load_study(path: Path, check: Check | None = None) -> Study:
    """Reads one study; raises as `load_record` does."""
    return _named(path, _load(path, Study, check))


def load_published(path: Path, check: Check | None = None) -> PublishedStudy:
    """Reads one study of a net that others trained; raises as `load_record` does."""
    return _named(path, _load(path, PublishedStudy, check))


def _named(path: Path, study: AnyStudy) -> AnyStudy:
    if path.stem != study.name:
        raise UserError(f"{path}: config: this is the study {study.name}; rename or restore the file")
    return study


def _load(path: Path, kind: type[Stored], check: Check | None) -> Stored:
    try:
        content = read_regular(path, MOST_BYTES)
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({reason(error)})") from None
    if check is not None:
        check(path, content)
    try:
        return _parse(kind, content)
    except ValidationError as error:
        raise UserError(f"{path}: {first_problem(error)}; restore the file or delete it and rerun") from None


@cache  # a page asks for the same records again and again, and to read a file takes a fifth of making a record of it
def _parse(kind: type[Stored], content: bytes) -> Stored:
    return kind.model_validate_json(content)


def first_problem(error: ValidationError) -> str:
    """The first thing that is wrong with a record, with the field's name, on one line."""
    first = error.errors(include_url=False, include_input=False)[0]
    return f"{'.'.join(map(str, first['loc'])) or 'record'}: {first['msg']}"


def save_record(record: RunRecord, folder: Path) -> Path:
    """Writes the record under its run's name into `folder`, atomically, and returns the path."""
    path = folder / f"{record.config.name}.json"
    write_atomically(path, lambda file: file.write(record.to_json().encode()))
    return path


def save_study(study: Study | PublishedStudy, folder: Path) -> Path:
    """Writes the study into `folder`/studies, or `folder`/published, atomically, and returns the path."""
    path = folder / (STUDIES if isinstance(study, Study) else PUBLISHED) / f"{study.name}.json"
    write_atomically(path, lambda file: file.write(study.to_json().encode()))
    return path
