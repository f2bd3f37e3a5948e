"""Configs, data and records small enough for a test."""

import dataclasses
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from resnet_lib import data
from resnet_lib.data.sets import Dataset
from resnet_lib.errors import UserError
from resnet_lib.files import PACKAGE
from resnet_lib.nets.build import build
from resnet_lib.nets.models import CifarNet, initialize
from resnet_lib.nets.probes import conv3x3_layers
from resnet_lib.runs.config import NetConfig, RunConfig
from resnet_lib.runs.profiles import PROFILES
from resnet_lib.runs.records import BlockProbes, Final, Probes, Provenance, RunRecord, Study, TestCurve, TrainCurve
from resnet_lib.runs.settings import Setting, plain
from resnet_lib.speed.bench import Benchmark
from resnet_lib.training.fused import can_fuse

ROOT = Path(__file__).parents[1]  # of the repository: the package may be installed elsewhere
Arrays = dict[str, np.ndarray]
PLAIN_8 = plain(8)
HUNG = 600  # seconds after which a process is taken to hang: no measure of its speed, which depends on what else runs


@cache
def tiny_dataset() -> Dataset:
    """256 training and 700 test images of the embedded set: more test images than one evaluation batch holds."""
    full = data.load("fashion-mnist-mini", 16)
    train, test = slice(256), slice(700)
    return dataclasses.replace(
        full,
        train_images=full.train_images[train],
        train_labels=full.train_labels[train],
        test_images=full.test_images[test],
        test_labels=full.test_labels[test],
    )


def tiny(setting: Setting = PLAIN_8, **changes: object) -> Setting:
    """Twelve iterations, of which an epoch of the tiny data set has eight."""
    recipe = {"iterations": 12, "milestones": (8,), "batch_size": 32, "crop_padding": 2, "precision": "fp32"}
    recipe |= {"lr": 0.1, "warmup_iterations": 0, "log_every": 5, "eval_every": 6}
    return setting.with_recipe(**recipe | changes)


def batch() -> tuple[Tensor, Tensor]:
    """32 normalised training images of the tiny data set, (32, 1, 16, 16), and their labels."""
    dataset = tiny_dataset()
    return dataset.normalize(dataset.train_images[:32]), dataset.train_labels[:32]


def started(shortcut: str = "none", **varied: object) -> CifarNet:
    """An untrained net of 8 layers for them."""
    net = CifarNet(8, shortcut, in_channels=1, **varied)
    initialize(net, seed=0)
    return net


def tiny_config(setting: Setting = PLAIN_8, seed: int = 0, **changes: object) -> RunConfig:
    """A run of the tiny setting on the images of profile small."""
    return tiny(setting, **changes).at(PROFILES["small"], seed)


@cache
def layer_names(net: NetConfig) -> tuple[str, ...]:
    """The 3x3 layers that a record of this net has probes of."""
    with torch.device("meta"):
        return tuple(name for name, _, _ in conv3x3_layers(build(net)))


NOWHERE = Provenance(
    package="0.1.0",
    git_commit=None,
    git_dirty=None,
    python="3.11.7",
    torch="2.13.0",
    device="made up",
    threads=1,
    precision="fp32",
    compiled=False,
    data_digest="0123456789abcdef",
    date="2026-01-01",
    seconds=1.0,
    images_per_second=1000.0,
)


BENCHMARK = Benchmark(
    format=1,
    device="a processor",
    threads=2,
    torch="2.13.0",
    python="3.11.7",
    git_commit=None,
    git_dirty=None,
    date="2026-01-01",
    precision="bf16",
    bandwidth=20e9,
    peak=1e12,
    speeds=[
        {"depth": 20, "loop": "usual", "at_once": 1, "images_per_second": 500.0, "rounds": [490.0, 500.0, 510.0]},
        {"depth": 20, "loop": "ours", "at_once": 2, "images_per_second": 1600.0, "rounds": [1500.0, 1600.0, 1700.0]},
    ],
    limits=[{"depth": 20, "by_memory": 4000.0, "by_arithmetic": 8000.0}],
    shares=[
        {"depth": 20, "loop": "ours", "part": "optimiser", "percent": 12.5},
        {"depth": 20, "loop": "ours", "part": "everything else", "percent": 87.5},
    ],
)


def made_up_study(study: str, config: RunConfig, values: dict[str, float]) -> Study:
    """A study that nobody made."""
    return Study(
        format=1,
        study=study,
        config=config,
        num_images=100,
        label=tuple(values),
        value=tuple(values.values()),
        provenance=NOWHERE,
    )


def made_up_record(
    config: RunConfig,
    train_error: float = 10.0,
    test_error: float = 20.0,
    *,
    halfway: float = 90.0,
    best: float | None = None,
    response: float = 1.0,
    weakest: float = 0.5,
    branch: float | None = None,
    learned_at: float | None = None,
) -> RunRecord:
    """A whole record that no run made.

    Training error is `halfway` in the middle, test error `best` (or 95); each layer's response is `response`, and the
    gradient norm of the first is `weakest`, of the others 0.5. If `branch` is given it is the ratio of every block. If
    `learned_at` is given, from a third of an iteration to one, the training error has fallen from 90% to 60% by then.
    """
    end = config.recipe.iterations
    points = [(end // 2, 0.1, 2.0, halfway), (end, 0.01, 1.0, train_error + 1)]
    if learned_at is not None:
        points.insert(0, (1, 0.1, 2.1, 90 - 30 / learned_at))
    iterations, lrs, losses, errors = zip(*points, strict=True)
    layers = layer_names(config.net)
    gradients = (weakest,) + (0.5,) * (len(layers) - 1)
    blocks = None if branch is None else BlockProbes(block=("layer1.0", "layer1.1"), branch_ratio=(branch, branch))
    return RunRecord(
        format=1,
        config=config,
        train_curve=TrainCurve(iteration=iterations, lr=lrs, loss=losses, error=errors),
        test_curve=TestCurve(
            iteration=(end // 2, end), loss=(2.5, 1.5), error=(95.0 if best is None else best, test_error)
        ),
        final=Final(train_loss=1.0, train_error=train_error, test_loss=1.5, test_error=test_error),
        probes=Probes(layer=layers, response_std=(response,) * len(layers), gradient_norm=gradients, blocks=blocks)
        if layers
        else None,
        provenance=NOWHERE,
    )


def complaint(call: Callable[[], object]) -> str:
    """The one line in which a call says what is wrong."""
    with pytest.raises(UserError) as caught:
        call()
    assert "\n" not in str(caught.value)
    return str(caught.value)


def refuse_more_than(most: int, monkeypatch: pytest.MonkeyPatch, kind: type[nn.Module] = CifarNet) -> list[int]:
    """Lets a net run out of memory; returns the list to which the sizes of the batches that it takes are added."""
    taken: list[int] = []
    whole = kind.forward

    def forward(self: nn.Module, images: Tensor) -> Tensor:
        if len(images) > most:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB.\nGPU 0 has ...")
        taken.append(len(images))
        return whole(self, images)

    monkeypatch.setattr(kind, "forward", forward)
    return taken


def same_tensors(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    """Whether two states are one, to the bit."""
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def unchanged(net: nn.Module, before: nn.Module) -> bool:
    """Whether a net has the weights, statistics, modes and momenta of its copy."""
    return same_tensors(net.state_dict(), before.state_dict()) and all(
        module.training == other.training and vars(module).get("momentum") == vars(other).get("momentum")
        for module, other in zip(net.modules(), before.modules(), strict=True)
    )


def measured(record: RunRecord) -> dict[str, object]:
    """All of a record but where it comes from."""
    return record.model_dump(exclude={"provenance"})


def python(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """What a fresh interpreter says."""
    return subprocess.run(
        [sys.executable, *arguments],
        env=surroundings(**environment),
        capture_output=True,
        text=True,
        timeout=HUNG,
        check=False,
    )


def can_compile() -> bool:
    """Whether operations are fused here: the processor is one of those it is made for, and a compiler is there."""
    return can_fuse(CifarNet(8, "A")) and shutil.which(os.environ.get("CXX", "g++")) is not None


def surroundings(**variables: str) -> dict[str, str]:
    """This process's environment and these variables, with which a fresh interpreter finds the package."""
    paths = [variables.pop("PYTHONPATH", ""), str(PACKAGE.parent)]
    return os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, paths))} | variables
