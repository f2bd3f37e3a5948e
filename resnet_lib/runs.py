"""What a run is (`RunConfig`), what it leaves behind (`RunRecord`), and how records are stored.

Nothing here needs torch: tables, figures and claims read records on any machine. Loading is strict: a missing, extra
or malformed field is refused with the file and the field named.
"""

import base64
import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from math import isclose
from pathlib import Path
from typing import Annotated, Literal, TypeVar

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from resnet_lib.errors import UserError
from resnet_lib.files import PACKAGE, cache_dir, write_atomically

STUDIES = "studies"  # the folder of studies, inside one of records
WEIGHTS = ".safetensors"  # the ending of a file with trained weights and batch-norm statistics

Shortcut = Literal["none", "A", "B", "C", "scaled", "gated"]
Optimizer = Literal["sgd", "adam", "rmsprop"]
Positive = Annotated[int, Field(ge=1)]
NonNegative = Annotated[int, Field(ge=0)]
Finite = Annotated[float, Field(allow_inf_nan=False)]
Percent = Annotated[float, Field(ge=0, le=100)]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class NetConfig(_Frozen):
    """Which net: see `models.CifarNet` for what the fields mean; the defaults are the paper's.

    `family` is "cifar" (section 4.2), "imagenet" (Table 1), or one of the nets of `others`: "transformer" (depth in
    blocks) or "fully-connected" (depth in layers).
    """

    family: Literal["cifar", "imagenet", "transformer", "fully-connected"]
    depth: Positive
    shortcut: Shortcut
    block: Literal["basic", "single", "bottleneck"] = "basic"
    placement: Literal["every", "alternate", "stage"] = "every"
    batch_norm: bool = True
    zero_init: bool = False
    head: Annotated[tuple[Positive, ...], Field(strict=False)] = ()
    pool: Literal["average", "flatten"] = "average"
    stride_in: Literal["first", "second", "none"] = "first"
    stem_relu: bool = True
    projection_norm: bool = True

    @model_validator(mode="after")
    def _only_cifar_nets_vary(self) -> "NetConfig":
        if self.family != "cifar" and (extra := self.model_fields_set - {"family", "depth", "shortcut"}):
            raise ValueError(f"a net of family {self.family} has no {', '.join(sorted(extra))}")
        return self

    @property
    def name(self) -> str:
        """As the paper writes it, with the shortcut option and what is unusual: plain-56, ResNet-56 A, no BN."""
        if self.family == "transformer":
            return f"transformer-{self.depth}" + (" without shortcuts" if self.shortcut == "none" else "")
        if self.family == "fully-connected":
            return f"{self.depth} FC"
        base = f"plain-{self.depth}" if self.shortcut == "none" else f"ResNet-{self.depth} {self.shortcut}"
        base += "" if self.family == "cifar" else " (Table 1)"
        return ", ".join([base, *self._unusual()])

    def _unusual(self) -> Iterator[str]:
        """What the name says of fields that are not the paper's."""
        if self.block != "basic":
            yield {"single": "one-layer blocks", "bottleneck": "bottlenecks"}[self.block]
        if self.placement != "every":
            yield {"alternate": "every second block", "stage": "one per stage"}[self.placement]
        if not self.batch_norm:
            yield "no BN"
        if self.zero_init:
            yield "zero init"
        if self.pool == "flatten":
            yield "flattened"
        if self.head:
            yield f"FC {'-'.join(map(str, self.head))}"
        if self.stride_in != "first":
            yield {"second": "late stride", "none": "no stride"}[self.stride_in]
        if not self.stem_relu:
            yield "no stem ReLU"
        if not self.projection_norm:
            yield "projection without BN"


class DataConfig(_Frozen):
    """Which images: a data set of `resnet_lib.data`, and the side of its square images in pixels.

    `num_train` keeps only so many training images, as many of each class. `validation` holds so many back from
    training, as many of each class, and puts them in the place of the test set, which is then not looked at.
    """

    name: str
    image_size: Positive
    num_train: Positive | None = None
    validation: NonNegative = 0


class Recipe(_Frozen):
    """How a net is trained (section 4.2). Nothing is left to a default that could drift.

    The learning rate is `warmup_lr` for `warmup_iterations`, then `lr`, divided by ten at each milestone. Weight decay
    acts on convolution and fully connected weights only. `crop_padding` is the zero border, in pixels, from which the
    random crop is cut; flips are always on.

    The fields with defaults are departures that chapter 11 prices; the default is what the book does otherwise.
    """

    iterations: Positive
    milestones: Annotated[tuple[Positive, ...], Field(strict=False)]  # a list will do
    batch_size: Positive
    optimizer: Optimizer
    lr: Annotated[Finite, Field(gt=0)]
    momentum: Annotated[Finite, Field(ge=0, lt=1)]
    weight_decay: Annotated[Finite, Field(ge=0)]
    warmup_iterations: NonNegative
    warmup_lr: Annotated[Finite, Field(ge=0)]
    crop_padding: NonNegative
    precision: Literal["auto", "fp32", "bf16"]  # auto: bf16 where the device is good at it; the record says which
    log_every: Positive  # iterations between points of the training curve
    eval_every: Positive  # iterations between evaluations on the test set
    decayed: Literal["weights", "all"] = "weights"  # all: batch norm's scales and shifts and biases, too
    momentum_form: Literal["torch", "caffe"] = "torch"  # caffe: the velocity holds lr, see `training.set_lr`
    subtract: Literal["pixel mean", "channel mean", "nothing"] = "pixel mean"
    bn_statistics: Literal["moving", "re-estimated"] = "moving"  # re-estimated: over the training set, at the end
    on_divergence: Literal["stop", "record"] = "stop"  # record: a loss that is not finite is a result

    @model_validator(mode="after")
    def _in_order(self) -> "Recipe":
        if list(self.milestones) != sorted(set(self.milestones)):
            raise ValueError(f"milestones {self.milestones} must rise")
        return self


class RunConfig(_Frozen):
    """One training of one net. Two runs with equal configs are the same run and share a name."""

    net: NetConfig
    data: DataConfig
    recipe: Recipe
    seed: NonNegative

    @cached_property
    def digest(self) -> str:
        """Eight hexadecimal digits that change when anything in the config does.

        Fields at their defaults are left out, so that a new field leaves the names of older runs alone.
        """
        canonical = json.dumps(self.model_dump(mode="json", exclude_defaults=True), sort_keys=True)
        return hashlib.sha256(canonical.encode()).hexdigest()[:8]

    @property
    def name(self) -> str:
        """Readable and unique: plain-56_cifar10-32px_sgd-0.1_6400it_seed0_1a2b3c4d."""
        recipe = self.recipe
        parts = (
            re.sub(r"[^\w.]+", "-", self.net.name).strip("-"),
            f"{self.data.name}-{self.data.image_size}px",
            f"{recipe.optimizer}-{recipe.lr:g}",
            f"{recipe.iterations}it",
            f"seed{self.seed}",
            self.digest,
        )
        return "_".join(parts)


class TrainCurve(_Frozen):
    """Means over the batches since the point before, on augmented images while the weights move. Error in percent.

    A loss that was not finite is None, here and below.
    """

    iteration: tuple[Positive, ...]
    lr: tuple[Finite, ...]
    loss: tuple[Finite | None, ...]
    error: tuple[Percent, ...]


class TestCurve(_Frozen):
    """Evaluations on the whole test set. Error in percent."""

    iteration: tuple[Positive, ...]
    loss: tuple[Finite | None, ...]
    error: tuple[Percent, ...]


class Final(_Frozen):
    """The net of the last iteration on the whole training set (not augmented) and test set. Errors in percent.

    A net that diverged has no loss, and the error of guessing.
    """

    train_loss: Finite | None
    train_error: Percent
    test_loss: Finite | None
    test_error: Percent


class BlockProbes(_Frozen):
    """Per block, in order of depth, with batch norm as in training, on the images of `Probes.gradient_norm`.

    `branch_ratio` is the standard deviation of F(x), before the addition, over that of what the shortcut adds to it.
    In a plain net it is the same of the layers that would be a block: their output over their input. None where the
    latter is constant. `scale` is the mean of |gamma|, the scale of the block's last batch norm; empty without any.
    """

    block: tuple[str, ...]
    branch_ratio: tuple[Finite | None, ...]
    scale: tuple[Finite, ...] = ()

    @model_validator(mode="after")
    def _consistent(self) -> "BlockProbes":
        if not len(self.block) == len(self.branch_ratio) or len(self.scale) not in (0, len(self.block)):
            raise ValueError("block, branch_ratio and scale must be of one length")
        return self


class Probes(_Frozen):
    """Per 3x3 layer of the trained net, in order of depth (Figure 7 and section 4.1).

    `response_std` is the standard deviation of the layer's output after batch norm, before ReLU or addition, on 1,000
    test images. `gradient_norm` is the Euclidean norm of the loss's gradient for the layer's weights, on 1,000
    training images, with batch norm as in training. A net that has not been trained yet has no running statistics, and
    its responses are measured with the batch's.
    """

    layer: tuple[str, ...]
    response_std: tuple[Finite, ...]
    gradient_norm: tuple[Finite, ...]
    blocks: BlockProbes | None = None


class ProbesAt(Probes):
    """Probes of a net that has trained for so many iterations."""

    iteration: NonNegative


class TestImages(_Frozen):
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


class Segment(_Frozen):
    """A part of a run that was interrupted: after how many iterations it began, and where and how it was worked on."""

    iteration: NonNegative
    git_commit: str | None
    git_dirty: bool | None
    torch: str
    device: str
    precision: Literal["fp32", "bf16"]
    compiled: bool
    date: str  # on which it began


class Provenance(_Frozen):
    """Where a record comes from. It names no path and no person.

    With several processes, or parts of a batch worked on one after the other, batch norm sees only so much of a batch.
    Of a run that was interrupted `segments` are the parts, and the other fields are those of the last one.
    """

    package: str
    git_commit: str | None
    git_dirty: bool | None  # whether the package's code differed from that commit
    python: str
    torch: str
    device: str
    threads: Positive
    precision: Literal["fp32", "bf16"]
    compiled: bool
    data_digest: str
    date: str
    seconds: Annotated[Finite, Field(ge=0)]  # training and evaluation, over all parts of an interrupted run
    images_per_second: Annotated[Finite, Field(ge=0)]  # training images, evaluation time included
    processes: Positive = 1
    parts: Positive = 1  # of the share that each process has of a batch
    segments: tuple[Segment, ...] = ()


class RunRecord(_Frozen):
    """What one run left behind: one JSON file, complete and strict.

    `probes` is None for a net without 3x3 layers and for one that diverged. `probes_on_the_way` are those of a long run
    before it ends. `test_images` is None in records made before it was kept. `diverged_at` is the iteration at which a
    loss that was not finite ended the run; the curves end before it.
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


class Study(_Frozen):
    """What was measured on a trained net after its run, such as the error with each block deleted.

    One JSON file per study and run, under `studies/` of a folder of records. `label` names what was done, `value` says
    what came of it.
    """

    format: Literal[1]
    study: str
    config: RunConfig  # of the run whose net it is
    num_images: Positive  # test images used
    label: tuple[str, ...]
    value: tuple[Finite, ...]
    provenance: Provenance

    @model_validator(mode="after")
    def _consistent(self) -> "Study":
        if len(self.label) != len(self.value) or not self.label:
            raise ValueError(f"{len(self.label)} labels, {len(self.value)} values: as many of both, and not none")
        return self

    @property
    def name(self) -> str:
        """Readable and unique: lesion_plain-56_cifar10-32px_..."""
        return f"{self.study}_{self.config.name}"

    def to_json(self) -> str:
        """As for a record."""
        return _pretty(self.model_dump(mode="json", exclude_defaults=True)) + "\n"


def _pretty(value: object, indent: str = "") -> str:
    inner = indent + "  "
    if isinstance(value, dict):
        lines = [f"{inner}{json.dumps(key)}: {_pretty(item, inner)}" for key, item in value.items()]
        return "{\n" + ",\n".join(lines) + f"\n{indent}}}"
    if isinstance(value, list) and value and isinstance(value[0], dict):
        return "[\n" + ",\n".join(f"{inner}{_pretty(item, inner)}" for item in value) + f"\n{indent}]"
    return json.dumps(value, allow_nan=False)


def load_record(path: Path) -> RunRecord:
    """Reads one record.

    Raises:
        UserError: the file cannot be read, is not JSON, or a field is missing, extra or malformed (the field is named).
    """
    record = _load(path, RunRecord)
    if path.stem != record.config.name:
        raise UserError(f"{path}: config: this is the record of {record.config.name}; rename or restore the file")
    return record


def load_study(path: Path) -> Study:
    """Reads one study; raises as `load_record` does."""
    study = _load(path, Study)
    if path.stem != study.name:
        raise UserError(f"{path}: config: this is the study {study.name}; rename or restore the file")
    return study


Stored = TypeVar("Stored", RunRecord, Study)


def _load(path: Path, kind: type[Stored]) -> Stored:
    try:
        return kind.model_validate_json(path.read_bytes())
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror or error})") from None
    except ValidationError as error:
        raise UserError(f"{path}: {first_problem(error)}; restore the file or delete it and rerun") from None


def first_problem(error: ValidationError) -> str:
    """The first thing that is wrong with a record, with the field's name, on one line."""
    first = error.errors(include_url=False, include_input=False)[0]
    return f"{'.'.join(map(str, first['loc'])) or 'record'}: {first['msg']}"


def save_record(record: RunRecord, folder: Path) -> Path:
    """Writes the record under its run's name into `folder`, atomically, and returns the path."""
    path = folder / f"{record.config.name}.json"
    write_atomically(path, lambda file: file.write(record.to_json().encode()))
    return path


def save_study(study: Study, folder: Path) -> Path:
    """Writes the study into `folder`/studies, atomically, and returns the path."""
    path = folder / STUDIES / f"{study.name}.json"
    write_atomically(path, lambda file: file.write(study.to_json().encode()))
    return path


def committed_dir() -> Path:
    """The records that ship with the package: what the book shows."""
    return PACKAGE / "records"


def local_dir() -> Path:
    """The records of runs made on this machine."""
    return cache_dir() / "records"


class Records:
    """The records found in some folders, by config. Files are read when asked for, earlier folders first."""

    def __init__(self, *folders: Path) -> None:
        self.folders = folders

    @classmethod
    def committed(cls) -> "Records":
        """Only what ships with the package."""
        return cls(committed_dir())

    @classmethod
    def all(cls) -> "Records":
        """What ships with the package, then what was run on this machine."""
        return cls(committed_dir(), local_dir())

    def get(self, config: RunConfig) -> RunRecord | None:
        """The record of this run, or None if there is none."""
        path = self._find(config, ".json")
        return None if path is None else load_record(path)

    def weights(self, config: RunConfig) -> Path | None:
        """The file with the trained weights of this run, which lies beside its record, or None if there is none."""
        return self._find(config, WEIGHTS)

    def _find(self, config: RunConfig, ending: str) -> Path | None:
        name = f"{config.name}{ending}"
        places = (path for folder in self.folders for path in (folder / config.data.name / name, folder / name))
        return next((path for path in places if path.exists()), None)

    def select(self, configs: Iterable[RunConfig]) -> list[RunRecord]:
        """The records there are of these runs, in the order of the configs."""
        return [record for config in configs if (record := self.get(config)) is not None]

    def study(self, study: str, config: RunConfig) -> Study | None:
        """The study of this run's net, or None if there is none."""
        for folder in self.folders:
            path = folder / STUDIES / f"{study}_{config.name}.json"
            if path.exists():
                return load_study(path)
        return None

    def noting(self) -> "NotedRecords":
        """The same records, which note what they give out: with it a table can say what it was made from."""
        return NotedRecords(*self.folders)

    def __iter__(self) -> Iterator[RunRecord]:
        """Every record in the folders, by path."""
        for folder in self.folders:
            for path in sorted(folder.rglob("*.json")):
                if path.parent.name != STUDIES:
                    yield load_record(path)


class NotedRecords(Records):
    """Records and studies with a list of what was found and given out."""

    def __init__(self, *folders: Path) -> None:
        super().__init__(*folders)
        self.given: list[RunRecord | Study] = []

    def get(self, config: RunConfig) -> RunRecord | None:
        """As of `Records`."""
        return self._noted(super().get(config))

    def study(self, study: str, config: RunConfig) -> Study | None:
        """As of `Records`."""
        return self._noted(super().study(study, config))

    def _noted(self, found: Stored | None) -> Stored | None:
        if found is not None:
            self.given.append(found)
        return found
