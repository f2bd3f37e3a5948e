"""The training loop of section 4.2 and, on folders of images, of section 3.4; in one process or in many.

What a data set gives is ready for the net (`data.batches`); here it is learnt from, counted, measured and saved.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.parallel import DistributedDataParallel

from resnet_lib import data
from resnet_lib.data.batches import Batch
from resnet_lib.data.sets import Dataset
from resnet_lib.errors import UserError
from resnet_lib.nets.build import build
from resnet_lib.nets.models import initialize
from resnet_lib.runs.config import RunConfig
from resnet_lib.runs.records import ProbesAt, RunRecord, TestImages
from resnet_lib.training.checkpoints import Course, load_checkpoint, save_checkpoint
from resnet_lib.training.evaluation import evaluate, reestimate_bn
from resnet_lib.training.fused import can_fuse, fuse
from resnet_lib.training.hardware import Hardware
from resnet_lib.training.memory import told_when_memory_is_short
from resnet_lib.training.optimizer import lr_at, make_optimizer, set_lr
from resnet_lib.training.processes import ALONE, Group
from resnet_lib.training.provenance import begin_segment, provenance, tell_changes
from resnet_lib.training.recording import make_record, measure, probed_iterations

if TYPE_CHECKING:
    from resnet_lib.training.imagenet import Folder


class TimeLimitReached(Exception):
    """Training stopped at its time limit, with a checkpoint: the next call continues."""


@dataclass(frozen=True)
class Progress:
    """How far a run is; `seconds` counts all its parts."""

    name: str
    iteration: int
    iterations: int
    loss: float
    error: float
    seconds: float


def step(
    net: nn.Module,
    optimizer: torch.optim.Optimizer,
    batches: Iterator[Batch],
    hardware: Hardware,
    sums: Tensor,
    group: Group = ALONE,
) -> None:
    """One update of the net by the next batch, of which this process takes its share part by part.

    Args:
        net: in training mode; compiled or not; with more than one process wrapped by DistributedDataParallel.
        optimizer: of the net's weights.
        batches: from `RunData.batches`, for the same group.
        hardware: where net and batches are.
        sums: float64 (2,), to which the mean loss over the share and the number of its errors are added.
        group: all processes that do this step together.
    """
    optimizer.zero_grad()
    for part in range(1, group.parts + 1):
        images, labels = next(batches)
        last = part == group.parts  # only then are gradients exchanged
        with nullcontext() if last or group.size == 1 else net.no_sync():
            with hardware.autocast():
                logits = net(images).float()
            loss = F.cross_entropy(logits, labels)
            if group.parts > 1:
                loss = loss / group.parts
            loss.backward()
        sums[0] += loss.detach()
        sums[1] += (logits.argmax(dim=1) != labels).sum()
    optimizer.step()


def train(
    config: RunConfig,
    dataset: "Dataset | Folder | None" = None,
    hardware: Hardware | None = None,
    group: Group = ALONE,
    *,
    checkpoint: Path | None = None,
    checkpoint_every: float = 180.0,
    time_limit: float | None = None,
    progress: Callable[[Progress], None] | None = None,
    accept_changes: bool = False,
) -> tuple[RunRecord, nn.Module]:
    """Trains one net by its recipe and measures it; returns the record and the trained net, the same in every process.

    The arithmetic of a batch: `batch_size` = processes x parts x images at once. Batch norm's statistics are over the
    images at once; those kept for testing are the first process's. The test set is only looked at: the error reported
    is that of the last iteration.

    Args:
        config: what to train.
        dataset: the data of the config if it is loaded already; a folder of images always is.
        hardware: by default the best there is.
        group: the processes that train together, from `processes.joined`; by default this process alone.
        checkpoint: file to continue from if it exists, and to save to. Every process reads it, the first one writes it.
            It is for the caller to remove once the record is stored.
        checkpoint_every: seconds between saves.
        time_limit: seconds after which to save and stop. Both are heeded after each iteration by a process that is
            alone, and by several at the points of the training curve, where they meet anyway.
        progress: called at each point of the training curve.
        accept_changes: go on from a checkpoint also if code or data are others than it was made with.

    Raises:
        TimeLimitReached: the time was up first; call again with the same checkpoint to go on.
        UserError: the loss is not finite (unless the recipe records that); the checkpoint is damaged, another run's,
            made by other code or with other data, or not the same for all processes; a batch is larger than the
            training set, cannot be shared out evenly, or is too large for the memory; an image in a file is damaged.
    """
    hardware = hardware or Hardware.choose(precision=config.recipe.precision)
    recipe, device = config.recipe, hardware.device
    started = time.perf_counter()
    dataset = (dataset or data.load(config.data.name, config.data.image_size)).for_run(config, device)
    net = build(config.net, dataset.in_channels, dataset.num_classes, config.data.image_size)
    initialize(net, config.seed)
    net = net.to(device, memory_format=torch.channels_last)
    optimizer = make_optimizer(net, recipe)

    course = Course(dataset.digest)
    if checkpoint is not None and checkpoint.exists():
        course = load_checkpoint(checkpoint, config, dataset.digest, net, optimizer, accept_changes)
        set_lr(optimizer, lr_at(recipe, course.iteration - 1), "torch")  # that of the last step: Caffe's form asks
    if group.sum(torch.tensor(course.iteration, device=device)) != group.size * course.iteration:
        raise UserError(f"checkpoint {checkpoint} is not there for all processes; RESNET_LIB_CACHE must be shared")
    part = begin_segment(course.iteration, hardware, dataset.digest)
    tell_changes(config.name, course.segments if group.rank == 0 or not accept_changes else (), part, accept_changes)
    course.segments.append(part)
    seconds_before, saved_at = course.seconds, time.perf_counter()

    fused = hardware.compiled and device.type == "cpu" and can_fuse(net)
    step_net = fuse(net) if fused else net
    step_net = DistributedDataParallel(step_net) if group.size > 1 else step_net
    if hardware.compiled and not fused:
        torch.compiler.reset()  # after a few nets in one process torch would give up and compile no more
        step_net = torch.compile(step_net)
    batches = dataset.batches(recipe, config.seed, course.iteration, group)
    sums = course.sums.to(device)
    if group.rank > 0:
        sums[1] = 0  # what was counted before, by one process, must not be counted by each
    pieces = group.size * group.parts  # of a batch

    def attempt(size: int) -> None:
        images, labels = next(dataset.batches(recipe, config.seed, course.iteration, group))
        step(net, optimizer, iter([(images[:size], labels[:size])]), hardware, torch.zeros_like(sums))

    def advice(fits: int) -> str:
        parts = recipe.batch_size // (group.size * fits)
        return f"take batch_size {pieces * fits}, or {parts} parts of this one (on ImageNet --accumulate {parts})"

    def seconds() -> float:
        return seconds_before + time.perf_counter() - started

    def save() -> None:
        if checkpoint is not None and group.rank == 0:
            course.seconds, course.sums = seconds(), sums.cpu()
            save_checkpoint(checkpoint, config, course, net, optimizer)

    net.train()
    diverged = False
    while course.iteration < recipe.iterations and not diverged:
        if course.iteration in probed_iterations(recipe) and (measured := measure(net, dataset)) is not None:
            course.probes.append(ProbesAt(iteration=course.iteration, **dict(measured)))
        lr = lr_at(recipe, course.iteration)
        set_lr(optimizer, lr, recipe.momentum_form)
        with told_when_memory_is_short(config.name, recipe.batch_size // pieces, attempt, advice):
            step(step_net, optimizer, batches, hardware, sums, group)
        course.iteration = iteration = course.iteration + 1

        done = iteration == recipe.iterations
        logged = iteration % recipe.log_every == 0 or done
        if logged:
            since = iteration - (course.train_points[-1][0] if course.train_points else 0)
            losses, errors = (group.sum(sums) / since).tolist()
            loss, error = losses / group.size, 100 * errors / recipe.batch_size
            diverged = not isfinite(loss)
            if diverged and recipe.on_divergence == "stop":
                raise UserError(
                    f"{config.name}: the loss is {loss} after {iteration} iterations at lr {lr:g}; lower lr"
                )
            course.train_points.append((iteration, lr, loss, error))
            sums.zero_()
            if progress is not None:
                progress(Progress(config.name, iteration, recipe.iterations, loss, error, seconds()))
        if iteration % recipe.eval_every == 0 and not (done or diverged):
            course.test_points.append((iteration, *evaluate(net, dataset, "test", hardware, group)[:2]))
        if (logged or group.size == 1) and not diverged:
            now = time.perf_counter()
            if not done and group.any(time_limit is not None and now - started > time_limit, device):
                save()
                raise TimeLimitReached(f"{config.name}: stopped at {iteration} of {recipe.iterations} iterations")
            if now - saved_at > checkpoint_every:
                save()
                saved_at = now

    if recipe.bn_statistics == "re-estimated" and not diverged:
        reestimate_bn(net, dataset, hardware)
    trained, tested = (evaluate(net, dataset, split, hardware, group) for split in ("train", "test"))
    course.test_points.append((course.iteration, *tested[:2]))
    measured = None if diverged else measure(net, dataset)
    all_here = isinstance(dataset, Dataset) and group.size == 1
    test_images = TestImages.of(tested.right.tolist()) if all_here else None
    seen = course.iteration * recipe.batch_size
    origin = provenance(dataset.digest, course.segments, seconds(), seen, group.size, group.parts)
    return make_record(config, course, trained, measured, test_images, origin), net
