"""The training loop of section 4.2, its learning-rate schedule, evaluation and what is measured on the way."""

import copy
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from resnet_lib import data
from resnet_lib.data.sets import Dataset, Epoch
from resnet_lib.errors import UserError
from resnet_lib.nets import probes
from resnet_lib.nets.models import CifarNet, ImageNetNet, initialize
from resnet_lib.nets.others import FullyConnected, VisionTransformer
from resnet_lib.runs.config import NetConfig, Recipe, RunConfig
from resnet_lib.runs.records import (
    BlockProbes,
    Final,
    Probes,
    ProbesAt,
    Provenance,
    RunRecord,
    Segment,
    TestCurve,
    TestImages,
    TrainCurve,
)
from resnet_lib.training.checkpoints import Course, load_checkpoint, save_checkpoint
from resnet_lib.training.hardware import Hardware
from resnet_lib.training.provenance import begin_segment, provenance

EVAL_BATCH = 500  # fits every cache and every GPU; the result does not depend on it
PROBE_IMAGES = 1000
FREE_MEMORY = "free some of its memory, or use the CPU (device cpu)"
EARLY = 400  # iterations after which a long run is probed for the first time: where the paper's warm-up ends
LONG = 1000  # iterations; in a shorter run, probes on the way would take a good part of the time


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


def build(config: NetConfig, in_channels: int = 3, num_classes: int = 10, image_size: int = 32) -> nn.Module:
    """The net of a config.

    Raises:
        ValueError: the depth does not exist in that family.
    """
    depth, shortcut = config.depth, config.shortcut
    match config.family:
        case "cifar":
            varied = config.model_dump(exclude={"family", "depth", "shortcut"})
            return CifarNet(depth, shortcut, in_channels, num_classes, image_size=image_size, **varied)
        case "imagenet":
            return ImageNetNet(depth, shortcut, num_classes, in_channels)
        case "transformer":
            return VisionTransformer(depth, shortcut, in_channels, num_classes, image_size)
        case "fully-connected":
            return FullyConnected(depth, in_channels * image_size**2, num_classes)


def lr_at(recipe: Recipe, iteration: int) -> float:
    """The learning rate of an iteration, counted from 0."""
    if iteration < recipe.warmup_iterations:
        return recipe.warmup_lr
    return recipe.lr * 0.1 ** sum(iteration >= milestone for milestone in recipe.milestones)


def make_optimizer(net: nn.Module, recipe: Recipe) -> torch.optim.Optimizer:
    """Decays convolution and fully connected weights, and neither biases nor batch norm (unless `decayed` says all).

    The paper does not say; see the README of fb.resnet.torch and section 5.1 of Goyal et al. (2017).
    """
    weights = [p for p in net.parameters() if p.dim() > 1]
    others = [p for p in net.parameters() if p.dim() <= 1]
    groups = [
        {"params": weights, "weight_decay": recipe.weight_decay},
        {"params": others, "weight_decay": recipe.weight_decay if recipe.decayed == "all" else 0.0},
    ]
    lr, momentum = recipe.lr, recipe.momentum
    match recipe.optimizer:
        case "sgd":
            return torch.optim.SGD(groups, lr, momentum, fused=True)
        case "adam":
            return torch.optim.Adam(groups, lr, betas=(momentum, 0.999), fused=True)
        case "rmsprop":
            return torch.optim.RMSprop(groups, lr, momentum=momentum)


def set_lr(optimizer: torch.optim.Optimizer, lr: float, momentum_form: str) -> None:
    """Gives all weights this learning rate for the next step.

    torch keeps a velocity v <- m v + g and steps by lr v, so a smaller lr shortens the next step at once. In Caffe's
    form, which the authors used, the velocity holds lr, V <- m V + lr g, and old gradients keep the lr they came with.
    The two differ only after a change of lr, and rescaling v by old lr / new lr turns the one into the other.
    """
    for group in optimizer.param_groups:
        if momentum_form == "caffe" and group["lr"] != lr:
            for parameter in group["params"]:
                if (velocity := optimizer.state[parameter].get("momentum_buffer")) is not None:
                    velocity.mul_(group["lr"] / lr)
        group["lr"] = lr


def backward(
    net: nn.Module, images: Tensor, labels: Tensor, hardware: Hardware, parts: int = 1
) -> tuple[Tensor, Tensor]:
    """One step without the update: adds the gradient of the mean loss, divided by `parts`, to what is there.

    Returns:
        The loss and the logits (N, num_classes), detached: nothing keeps the activations alive.
    """
    with hardware.autocast():
        logits = net(images).float()
    loss = F.cross_entropy(logits, labels)
    (loss if parts == 1 else loss / parts).backward()
    return loss.detach(), logits.detach()


@contextmanager
def told_when_memory_is_short(
    name: str, size: int, attempt: Callable[[int], object], advice: Callable[[int], str]
) -> Iterator[None]:
    """Turns torch's error, when a GPU's memory does not hold `size` images at once, into one line with what does fit.

    That is found by trying, here and now, beside whatever else is in the memory: nothing is extrapolated.

    Args:
        name: of the run or net.
        size: images at once.
        attempt: does again what failed, with so many images.
        advice: what to do, given how many fit.

    Raises:
        UserError: the memory was too small.
    """
    try:
        yield
    except torch.OutOfMemoryError as error:
        traceback.clear_frames(error.__traceback__)  # else they keep the failed attempt's activations alive
        fits = largest_that_fits(size, attempt)
        found = f"{fits} fit, as a trial shows: {advice(fits)}, " if fits else "not even one fits: "
        raise UserError(
            f"{name}: {size} images at once need more memory than the GPU has free; {found}{FREE_MEMORY}"
        ) from None


def largest_that_fits(size: int, attempt: Callable[[int], object]) -> int | None:
    """The largest divisor of a number of images with which `attempt` does not run out of a GPU's memory."""
    for smaller in range(size // 2, 0, -1):
        if size % smaller == 0:
            try:
                attempt(smaller)
            except torch.OutOfMemoryError as error:
                traceback.clear_frames(error.__traceback__)
            else:
                return smaller
    return None


@torch.no_grad()
def forward(net: nn.Module, images: Tensor) -> Tensor:
    """What a net in evaluation mode makes of images: in halves, down to single ones, where a GPU's memory is too small.

    Raises:
        UserError: not even one image fits.
    """
    try:
        return net(images)
    except torch.OutOfMemoryError as error:
        traceback.clear_frames(error.__traceback__)
        if len(images) == 1:
            raise UserError(f"the GPU has no memory free for even one image; {FREE_MEMORY}") from None
    return torch.cat([forward(net, half) for half in images.chunk(2)])


@torch.no_grad()
def reestimate_bn(net: nn.Module, dataset: Dataset, hardware: Hardware) -> None:
    """Replaces batch norm's moving statistics by their mean over the training set, as the authors' release does."""
    batch_norms = [module for module in net.modules() if isinstance(module, nn.BatchNorm2d)]
    momenta = [bn.momentum for bn in batch_norms]
    for bn in batch_norms:
        bn.reset_running_stats()
        bn.momentum = None  # a cumulative mean
    was_training = net.training
    net.train()
    for batch in dataset.train_images.split(EVAL_BATCH):
        with hardware.autocast():
            net(dataset.normalize(batch))
    net.train(was_training)
    for bn, momentum in zip(batch_norms, momenta, strict=True):
        bn.momentum = momentum


class Evaluation(NamedTuple):
    """Mean loss, error in percent, and whether each image is right: bool (N,), on the net's device."""

    loss: float
    error: float
    right: Tensor


@torch.no_grad()
def evaluate(net: nn.Module, dataset: Dataset, split: str, hardware: Hardware) -> Evaluation:
    """Tests a net on all images of a split ("train" or "test"), one view, no augmentation."""
    images = getattr(dataset, f"{split}_images")
    labels = getattr(dataset, f"{split}_labels")
    total = torch.zeros((), dtype=torch.float64, device=images.device)
    right = []
    with probes.as_in_testing(net):
        for batch, targets in zip(images.split(EVAL_BATCH), labels.split(EVAL_BATCH), strict=True):
            with hardware.autocast():
                logits = forward(net, dataset.normalize(batch)).float()
            total += F.cross_entropy(logits, targets, reduction="sum")
            right.append(logits.argmax(dim=1) == targets)
    correct = torch.cat(right)
    count = len(labels)
    return Evaluation(total.item() / count, 100 * (count - correct.sum().item()) / count, correct)


def probed_iterations(recipe: Recipe) -> list[int]:
    """After how many iterations a net is measured before its run ends: new, early, and just before each milestone."""
    if recipe.iterations < LONG:
        return []
    return [i for i in (0, EARLY, *recipe.milestones) if i < recipe.iterations]


def train(
    config: RunConfig,
    dataset: Dataset | None = None,
    hardware: Hardware | None = None,
    *,
    checkpoint: Path | None = None,
    checkpoint_every: float = 180.0,
    time_limit: float | None = None,
    progress: Callable[[Progress], None] | None = None,
) -> tuple[RunRecord, nn.Module]:
    """Trains one net by its recipe (section 4.2) and measures it; returns the record and the trained net.

    An epoch is `num_images // batch_size` iterations: the remainder is left out, other images each time, so that all
    batches have one shape. The test set is only looked at: the error reported is that of the last iteration.

    Args:
        config: what to train.
        dataset: the data of the config if it is loaded already.
        hardware: by default the best there is.
        checkpoint: file to continue from if it exists, and to save to. It is for the caller to remove once the
            record is stored.
        checkpoint_every: seconds between saves.
        time_limit: seconds after which to save and stop.
        progress: called at each point of the training curve.

    Raises:
        TimeLimitReached: the time was up first; call again with the same checkpoint to go on.
        UserError: the loss is not finite (unless the recipe records that); the checkpoint is damaged or another run's;
            a batch is larger than the training set.
    """
    hardware = hardware or Hardware.choose(precision=config.recipe.precision)
    recipe, device = config.recipe, hardware.device
    started = time.perf_counter()
    dataset = dataset or data.load(config.data.name, config.data.image_size)
    dataset = data.split(dataset, config.data.num_train, config.data.validation)
    dataset = data.subtract(dataset, recipe.subtract).to(device)
    net = build(config.net, dataset.train_images.shape[1], dataset.num_classes, config.data.image_size)
    initialize(net, config.seed)
    net = net.to(device, memory_format=torch.channels_last)
    optimizer = make_optimizer(net, recipe)
    if hardware.compiled:
        torch.compiler.reset()  # after a few nets in one process torch would give up and compile no more
    step_net = torch.compile(net) if hardware.compiled else net

    course = Course(dataset.digest)
    if checkpoint is not None and checkpoint.exists():
        course = load_checkpoint(checkpoint, config, dataset.digest, net, optimizer)
        set_lr(optimizer, lr_at(recipe, course.iteration - 1), "torch")  # that of the last step: Caffe's form asks
    tell_changes(config.name, course.segments, hardware)
    course.segments.append(begin_segment(course.iteration, hardware))
    seconds_before = course.seconds
    train_points, test_points = course.train_points, course.test_points
    sums = course.sums.to(device)
    diverged = False

    def attempt(size: int) -> None:
        backward(net, images[:size], labels[:size], hardware)
        optimizer.step()

    def seconds() -> float:
        return seconds_before + time.perf_counter() - started

    def save() -> None:
        if checkpoint is not None:
            course.seconds, course.sums = seconds(), sums.cpu()
            save_checkpoint(checkpoint, config, course, net, optimizer)

    net.train()
    num_images = len(dataset.train_labels)
    if recipe.batch_size > num_images:
        raise UserError(f"{config.name}: batch_size is {recipe.batch_size}, but there are {num_images} training images")
    iterations_per_epoch = num_images // recipe.batch_size
    epoch: Epoch | None = None
    saved_at = time.perf_counter()
    while course.iteration < recipe.iterations and not diverged:
        if course.iteration in probed_iterations(recipe):
            course.probes.append(measure_at(course.iteration, net, dataset))
        epoch_number, position = divmod(course.iteration, iterations_per_epoch)
        if epoch is None or position == 0:
            epoch = Epoch.draw(num_images, recipe.crop_padding, config.seed, epoch_number, device)
        batch = slice(position * recipe.batch_size, (position + 1) * recipe.batch_size)
        chosen = epoch.order[batch]
        images = dataset.normalize(dataset.train_images[chosen])
        images = data.augment(images, epoch.offsets[batch], epoch.flips[batch], recipe.crop_padding)
        labels = dataset.train_labels[chosen]

        lr = lr_at(recipe, course.iteration)
        set_lr(optimizer, lr, recipe.momentum_form)
        optimizer.zero_grad()
        with told_when_memory_is_short(config.name, len(images), attempt, lambda fits: f"take batch_size {fits}"):
            loss, logits = backward(step_net, images, labels, hardware)
            optimizer.step()
        course.iteration = iteration = course.iteration + 1

        sums[0] += loss
        sums[1] += (logits.argmax(dim=1) != labels).sum()
        done = iteration == recipe.iterations
        if iteration % recipe.log_every == 0 or done:
            since = iteration - (train_points[-1][0] if train_points else 0)
            mean_loss, errors = (sums / since).tolist()
            diverged = not isfinite(mean_loss)
            if diverged and recipe.on_divergence == "stop":
                raise UserError(
                    f"{config.name}: the loss is {mean_loss} after {iteration} iterations at lr {lr:g}; lower lr"
                )
            train_points.append((iteration, lr, mean_loss, 100 * errors / recipe.batch_size))
            sums.zero_()
            if progress is not None:
                progress(Progress(config.name, iteration, recipe.iterations, mean_loss, train_points[-1][3], seconds()))
        if iteration % recipe.eval_every == 0 and not (done or diverged):
            test_points.append((iteration, *evaluate(net, dataset, "test", hardware)[:2]))
        now = time.perf_counter()
        if time_limit is not None and now - started > time_limit and not (done or diverged):
            save()
            raise TimeLimitReached(f"{config.name}: stopped at {iteration} of {recipe.iterations} iterations")
        if now - saved_at > checkpoint_every and not diverged:
            save()
            saved_at = now

    if recipe.bn_statistics == "re-estimated" and not diverged:
        reestimate_bn(net, dataset, hardware)
    trained, tested = (evaluate(net, dataset, split, hardware) for split in ("train", "test"))
    test_points.append((course.iteration, *tested[:2]))
    measured = None if diverged else measure(net, dataset)
    origin = provenance(dataset.digest, course.segments, seconds(), course.iteration * recipe.batch_size)
    record = make_record(config, course, trained[:2], measured, origin)
    return record.model_copy(update={"test_images": TestImages.of(tested.right.tolist())}), net


def tell_changes(name: str, before: list[Segment], hardware: Hardware) -> None:
    """One line to stderr when a run goes on in another precision than it was begun in: its record will say so, too."""
    if before and before[-1].precision != hardware.precision:
        print(
            f"{name}: begun in {before[-1].precision}, goes on in {hardware.precision}, which suits this processor; "
            "the record lists both parts",
            file=sys.stderr,
        )


def make_record(
    config: RunConfig, course: Course, trained: tuple[float, float], probes: Probes | None, provenance: Provenance
) -> RunRecord:
    """The record of a finished run; `trained` is the net's loss and error on the whole training set."""
    iterations, lrs, losses, errors = zip(*course.train_points, strict=True)
    test_iterations, test_losses, test_errors = zip(*course.test_points, strict=True)
    diverged = not isfinite(losses[-1])
    train_loss, train_error = _round(trained)
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
        diverged_at=iterations[-1] if diverged else None,
        provenance=provenance,
    )


def measure_at(iteration: int, net: nn.Module, dataset: Dataset) -> ProbesAt:
    """The probes of a net that trains on."""
    measured = measure(net, dataset)
    return ProbesAt(iteration=iteration, **dict(measured))


def measure(net: nn.Module, dataset: Dataset) -> Probes | None:
    """The probes of a net, in fp32, so that they can be compared across devices; None if it has no 3x3 layers."""
    if not probes.conv3x3_layers(net):
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


def _round(values: Any) -> tuple[Any, ...]:
    """Seven significant digits, all that fp32 holds; None for what is not finite."""
    return tuple(float(f"{value:.7g}") if isfinite(value) else None for value in values)
