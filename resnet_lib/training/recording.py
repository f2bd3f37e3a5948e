"""What a run leaves behind: probes of its net, on the way and at the end, and the record of it all."""

import copy
import traceback
from collections.abc import Iterable
from math import isfinite

import torch
from torch import nn

from resnet_lib.data.batches import RunData
from resnet_lib.data.sets import Dataset
from resnet_lib.nets import probes
from resnet_lib.runs.config import Recipe, RunConfig
from resnet_lib.runs.records import BlockProbes, Final, Probes, Provenance, RunRecord, TestCurve, TestImages, TrainCurve
from resnet_lib.training.checkpoints import Course
from resnet_lib.training.evaluation import Evaluation

PROBE_IMAGES = 1000
EARLY = 400  # iterations after which a long run is probed for the first time: where the paper's warm-up ends
LONG = 1000  # iterations; in a shorter run, probes on the way would take a good part of the time


def probed_iterations(recipe: Recipe) -> list[int]:
    """After how many iterations a net is measured before its run ends: new, early, and just before each milestone."""
    if recipe.iterations < LONG:
        return []
    return [i for i in (0, EARLY, *recipe.milestones) if i < recipe.iterations]


def measure(net: nn.Module, dataset: RunData) -> Probes | None:
    """The probes of a net, in fp32, so that they can be compared across devices.

    None if the net has no 3x3 layers, or if the images are not in memory but in files.
    """
    if not probes.conv3x3_layers(net) or not isinstance(dataset, Dataset):
        return None
    try:
        return _measure(net, dataset)
    except torch.OutOfMemoryError as error:  # so many images at once can take more than a step of training does
        traceback.clear_frames(error.__traceback__)
    return _measure(copy.deepcopy(net).cpu(), dataset.to(torch.device("cpu")))


def _measure(net: nn.Module, dataset: Dataset) -> Probes:
    test_images = dataset.normalize(dataset.test_images[:PROBE_IMAGES])
    train_images = dataset.normalize(dataset.train_images[:PROBE_IMAGES])
    return Probes(
        layer=tuple(name for name, _, _ in probes.conv3x3_layers(net)),
        response_std=_round(probes.response_std(net, test_images)),
        gradient_norm=_round(probes.gradient_norms(net, train_images, dataset.train_labels[:PROBE_IMAGES])),
        blocks=BlockProbes(
            block=tuple(name for name, _ in probes.blocks(net)),
            branch_ratio=_round(probes.branch_ratios(net, train_images)),
            scale=_round(probes.last_scales(net)),
        ),
    )


def make_record(
    config: RunConfig,
    course: Course,
    trained: Evaluation,
    probes: Probes | None,
    test_images: TestImages | None,
    provenance: Provenance,
) -> RunRecord:
    """The record of a finished run; `trained` is the net on the whole training set."""
    iterations, lrs, losses, errors = zip(*course.train_points, strict=True)
    test_iterations, test_losses, test_errors = zip(*course.test_points, strict=True)
    diverged = not isfinite(losses[-1])
    train_loss, train_error = _round(trained[:2])
    return RunRecord(
        format=1,
        config=config,
        train_curve=TrainCurve(iteration=iterations, lr=lrs, loss=_round(losses), error=_round(errors)),
        test_curve=TestCurve(iteration=test_iterations, loss=_round(test_losses), error=_round(test_errors)),
        final=Final(
            train_loss=train_loss,
            train_error=train_error,
            test_loss=_round(test_losses)[-1],
            test_error=_round(test_errors)[-1],
        ),
        probes=probes,
        probes_on_the_way=tuple(course.probes),
        test_images=test_images,
        diverged_at=iterations[-1] if diverged else None,
        provenance=provenance,
    )


def _round(values: Iterable[float]) -> tuple[float | None, ...]:
    """Seven significant digits, all that fp32 holds; None for what is not finite."""
    return tuple(float(f"{value:.7g}") if isfinite(value) else None for value in values)
