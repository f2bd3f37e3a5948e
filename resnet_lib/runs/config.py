"""What a run is: which net, which images, which recipe, which seed.

Nothing here needs torch. Two runs with equal configs are the same run and share a name.
"""

import hashlib
import json
import re
from collections.abc import Iterator
from functools import cached_property
from typing import Annotated, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, model_validator

Shortcut = Literal["none", "A", "B", "C", "scaled", "gated"]
Optimizer = Literal["sgd", "adam", "rmsprop"]
MOST = 10**9  # of anything that is counted: what no run can do is no run
MOST_LAYERS = 2000  # the paper's deepest net has 1202
Positive = Annotated[int, Field(ge=1, le=MOST)]
NonNegative = Annotated[int, Field(ge=0, le=MOST)]
Finite = Annotated[float, Field(allow_inf_nan=False)]


class Frozen(BaseModel):
    """A value whose fields are checked strictly; one that it does not know is refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


Value = TypeVar("Value", bound=Frozen)


def changed(value: Value, **changes: object) -> Value:
    """The same with some fields changed, checked like a new one."""
    return type(value).model_validate(value.model_dump(exclude_unset=True) | changes)


class NetConfig(Frozen):
    """Which net: see `models.CifarNet` for what the fields mean; the defaults are the paper's.

    `family` is "cifar" (section 4.2), "imagenet" (Table 1), or one of the nets of `others`: "transformer" (depth in
    blocks) or "fully-connected" (depth in layers).
    """

    family: Literal["cifar", "imagenet", "transformer", "fully-connected"]
    depth: Annotated[int, Field(ge=1, le=MOST_LAYERS)]
    shortcut: Shortcut
    block: Literal["basic", "single", "bottleneck", "pre-activation", "norm after addition"] = "basic"
    placement: Literal["every", "alternate", "stage"] = "every"
    batch_norm: bool = True
    zero_init: bool = False
    head: Annotated[tuple[Positive, ...], Field(strict=False, max_length=16)] = ()
    pool: Literal["average", "flatten"] = "average"
    stride_in: Literal["first", "second", "none"] = "first"
    stem_relu: bool = True
    projection_norm: bool = True
    init: Literal["he", "skipinit", "fixup", "dirac", "orthogonal"] = "he"

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
        return ", ".join([self.short_name + (" (Table 1)" if self.family == "imagenet" else ""), *self._unusual()])

    @property
    def short_name(self) -> str:
        """Of a convolutional net: depth and shortcut option alone."""
        return f"plain-{self.depth}" if self.shortcut == "none" else f"ResNet-{self.depth} {self.shortcut}"

    def _unusual(self) -> Iterator[str]:
        """What the name says of fields that are not the paper's."""
        if self.block != "basic":
            yield {
                "single": "one-layer blocks",
                "bottleneck": "bottlenecks",
                "pre-activation": "pre-activation",
                "norm after addition": "BN after addition",
            }[self.block]
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
        if self.init != "he":
            yield {"skipinit": "SkipInit", "fixup": "Fixup"}.get(self.init, f"{self.init} start")


class DataConfig(Frozen):
    """Which images: a data set of `resnet_lib.data`, and the side of its square images in pixels.

    `num_train` keeps only so many training images, as many of each class. `validation` holds so many back from
    training, as many of each class, and puts them in the place of the test set, which is then not looked at.
    """

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,39}$")]  # part of the names of files
    image_size: Annotated[int, Field(ge=1, le=4096)]
    num_train: Positive | None = None
    validation: NonNegative = 0


class Recipe(Frozen):
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
    clip_norm: Annotated[Finite, Field(gt=0)] | None = None  # longer gradients, of all weights, are cut to this norm

    @model_validator(mode="after")
    def _in_order(self) -> "Recipe":
        if list(self.milestones) != sorted(set(self.milestones)):
            raise ValueError(f"milestones {self.milestones} must rise")
        return self


class RunConfig(Frozen):
    """One training of one net. Two runs with equal configs are the same run and share a name."""

    net: NetConfig
    data: DataConfig
    recipe: Recipe
    seed: Annotated[int, Field(ge=0, lt=2**32)]

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
