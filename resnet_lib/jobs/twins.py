"""Twins of a run: nets that start as it does but for one bit, or for the seed, and the run itself again (chapter 16).

`python -m resnet_lib study one-bit one-bit-bf16 --profile small --seeds 2` trains six nets for each seed, and
`study again --profile quick --seeds 1` one for each, on this machine's processor.
"""

import copy
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Literal

import torch
from torch import Tensor, nn

from resnet_lib import training
from resnet_lib.jobs.examined import WHOLE, Trained
from resnet_lib.nets import models
from resnet_lib.nets.probes import as_in_testing
from resnet_lib.training.loop import step

ANOTHER_SEED = 1000  # is added to that of the run
ONE_BIT, SHORT_BIT, OTHER = "one bit", "one bit of bf16", "another seed"


def told(iterations: int) -> list[int]:
    """The iterations after which the distance of twins is taken: the powers of two, and the last."""
    powers = (2**exponent for exponent in range(iterations.bit_length()))
    return sorted({power for power in powers if power < iterations} | {0, iterations})


@torch.no_grad()
def with_one_bit_changed(net: nn.Module, bit: int = 0) -> nn.Module:
    """A copy of a net in which the first weight of its first layer has one bit changed; bit 0 is fp32's last.

    bf16 keeps bit 16 and those above.
    """
    other = copy.deepcopy(net)
    weight = next(other.parameters())
    weight.view(torch.int32)[(0,) * weight.dim()] ^= 1 << bit  # the number's own bits
    return other


@torch.no_grad()
def distance(net: nn.Module, other: nn.Module) -> float:
    """Norm of the difference of all weights of two nets, relative to the first net's norm."""
    pairs = [(one.double(), two.double()) for one, two in zip(net.parameters(), other.parameters(), strict=True)]
    apart, whole = sum((a - b).square().sum() for a, b in pairs), sum(a.square().sum() for a, _ in pairs)
    return float((apart / whole).sqrt())


def train_twins(trained: Trained, twins: tuple[str, ...]) -> dict[str, float]:
    """Trains a run's net from its start on, and its twins beside it.

    Args:
        trained: a net of any weights, with the run, the data, and the arithmetic to train with.
        twins: of `ONE_BIT`, `SHORT_BIT` and `OTHER`. All but the last see the images in the run's order.

    Returns:
        The test error of the run's net in percent ("whole net"). For each twin "TWIN, distance: ITERATION" by
        `distance`; "TWIN, test error"; and of the test images, in percent, those that the two nets answer differently
        ("TWIN, differ") and those that only one of them gets right ("TWIN, one right").
    """
    config, hardware, dataset = trained.config, trained.hardware, trained.dataset
    first = copy.deepcopy(trained.net)
    models.initialize(first, config.seed)
    other = copy.deepcopy(trained.net)
    models.initialize(other, config.seed + ANOTHER_SEED)
    starts = {
        WHOLE: first,
        ONE_BIT: with_one_bit_changed(first),
        SHORT_BIT: with_one_bit_changed(first, bit=16),
        OTHER: other,
    }
    nets = {name: starts[name].train() for name in (WHOLE, *twins)}
    optimizers = {name: training.make_optimizer(net, config.recipe) for name, net in nets.items()}
    batches = {
        name: dataset.batches(config.recipe, config.seed + ANOTHER_SEED * (name == OTHER), start=0) for name in nets
    }
    values: dict[str, float] = {}
    apart: dict[str, dict[int, float]] = {name: {} for name in twins}
    for iteration in range(config.recipe.iterations + 1):
        if iteration in told(config.recipe.iterations):
            for name in twins:
                apart[name][iteration] = distance(nets[WHOLE], nets[name])
        if iteration == config.recipe.iterations:
            break
        for name, net in nets.items():
            training.set_lr(optimizers[name], training.lr_at(config.recipe, iteration), config.recipe.momentum_form)
            sums = torch.zeros(2, dtype=torch.float64, device=hardware.device)
            step(net, optimizers[name], batches[name], hardware, sums)
    answers = {name: _answers(trained, net) for name, net in nets.items()}
    right = {name: given == dataset.test_labels for name, given in answers.items()}
    values[WHOLE] = _percent(~right[WHOLE])
    for name in twins:
        values |= {f"{name}, distance: {iteration}": value for iteration, value in apart[name].items()}
        values[f"{name}, test error"] = _percent(~right[name])
        values[f"{name}, differ"] = _percent(answers[name] != answers[WHOLE])
        values[f"{name}, one right"] = _percent(right[name] != right[WHOLE])
    return values


@torch.no_grad()
def _answers(trained: Trained, net: nn.Module) -> Tensor:
    """The class that a net gives to each test image, int64 (N,)."""
    with as_in_testing(net), trained.hardware.autocast():
        return torch.cat([net(images).argmax(dim=1) for images, _ in trained.dataset.views("test")])


def _percent(which: Tensor) -> float:
    return 100 * which.double().mean().item()


def again(trained: Trained) -> dict[str, float]:
    """The run once more: test error ("whole net"), "training error", and "loss: ITERATION" of its training curve."""
    record, _ = training.train(trained.config, hardware=trained.hardware)
    losses = zip(record.train_curve.iteration, record.train_curve.loss, strict=True)
    return {
        WHOLE: record.final.test_error,
        "training error": record.final.train_error,
        **{f"loss: {iteration}": loss for iteration, loss in losses if loss is not None},
    }


@dataclass(frozen=True)
class FromTheStart:
    """What to train anew, and in which precision."""

    of: Callable[[Trained], dict[str, float]]
    precision: Literal["fp32", "bf16"]


FROM_THE_START = {
    "one-bit": FromTheStart(partial(train_twins, twins=(ONE_BIT, OTHER)), "fp32"),
    "one-bit-bf16": FromTheStart(partial(train_twins, twins=(ONE_BIT, SHORT_BIT)), "bf16"),
    "again": FromTheStart(again, "bf16"),
}
"""Name of a study -> what it does."""
