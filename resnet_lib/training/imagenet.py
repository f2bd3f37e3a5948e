"""Training on ImageNet at full size (section 3.4), by one process or by many.

    torchrun --nproc-per-node 8 -m resnet_lib train-imagenet DIR --suite table3

Every process has a device and works on its part of each batch; DistributedDataParallel averages the gradients. Which
images make a batch and how each is cropped follows from the seed, the epoch and the image alone, never from the number
of processes or of loader workers. So a run goes on from its checkpoint after any interruption, also with fewer
processes; only batch norm sees other parts then.

The departures from section 3.4: a mean per channel is subtracted instead of one per pixel; the learning rate is stepped
at epochs fixed beforehand instead of by looking at the error; batch norm's statistics are moving averages.
"""

import hashlib
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, distributed, nn
from torch.distributed.rendezvous import rendezvous
from torch.nn import functional as F
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import DataLoader

from resnet_lib.data.sets import Epoch
from resnet_lib.errors import UserError
from resnet_lib.nets.models import initialize
from resnet_lib.runs.config import DataConfig, NetConfig, Recipe, RunConfig, changed
from resnet_lib.runs.profiles import PAPER_RECIPE
from resnet_lib.runs.records import RunRecord
from resnet_lib.training.checkpoints import Course, load_checkpoint, save_checkpoint
from resnet_lib.training.hardware import Hardware
from resnet_lib.training.loop import (
    Progress,
    TimeLimitReached,
    backward,
    build,
    forward,
    lr_at,
    make_optimizer,
    make_record,
    set_lr,
    tell_changes,
    told_when_memory_is_short,
)
from resnet_lib.training.protocols import MEAN, STD, Images, Protocol, find_images, read_image
from resnet_lib.training.provenance import begin_segment, provenance

IMAGE_SIZE = 224
IMAGENET_IMAGES = 1_281_167  # for training
SHORTER_SIDE = (256, 480)  # of a training image before a square of 224 is cut from it: drawn anew each time
BATCH_SIZE = 256
EPOCHS = 120  # 600,000 iterations of 256 images
MILESTONES = (30, 60, 90)  # in epochs; the paper steps when the error stops falling
COLOUR_DEVIATION = 0.1
# ImageNet's colours vary along these directions (columns), by these deviations: of pixels in [0, 1], as published with
# fb.resnet.torch, which follows AlexNet (section 4.1 there), which the paper calls the standard colour augmentation.
COLOUR_DEVIATIONS = (0.2175, 0.0188, 0.0045)
COLOUR_DIRECTIONS = ((-0.5675, 0.7192, 0.4009), (-0.5808, -0.0045, -0.8140), (-0.5836, -0.6948, 0.4203))


@dataclass(frozen=True)
class Folder:
    """Images for training and validation, one folder a class in both: DIR/train/CLASS/* and DIR/val/CLASS/*.

    The digest covers names, classes and sizes of all files. Reading 150 GB to hash them would take an hour.
    """

    train: Images
    val: Images
    digest: str

    @property
    def name(self) -> str:
        """What a record calls the data: "imagenet" only if there are as many classes and images as ImageNet has."""
        whole = (len(self.train.classes), len(self.train.files), len(self.val.files)) == (1000, IMAGENET_IMAGES, 50_000)
        return "imagenet" if whole else f"folder-{self.digest}"


def open_folder(path: Path) -> Folder:
    """Lists the images of an ImageNet folder.

    Raises:
        UserError: train or val is missing or empty, or their classes differ.
    """
    train, val = find_images(path / "train"), find_images(path / "val")
    if train.classes != val.classes:
        odd = sorted(set(train.classes) ^ set(val.classes))[0]
        raise UserError(f"{path}: train and val have different classes ({odd} is in one of them); both must have all")
    digest = hashlib.sha256()
    for images in (train, val):
        for file, label in zip(images.files, images.labels, strict=True):
            digest.update(f"{file.relative_to(path).as_posix()} {label} {file.stat().st_size}\n".encode())
    return Folder(train, val, digest.hexdigest()[:16])


def recipe(num_images: int, batch_size: int = BATCH_SIZE, epochs: int = EPOCHS) -> Recipe:
    """Section 3.4's recipe for this many training images.

    The learning rate is the paper's 0.1 for its batch of 256 and grows with the batch (Goyal et al. 2017, section 2.1).
    The steps stay where they are in proportion when the epochs are fewer.

    Raises:
        UserError: there are fewer images than one batch has.
    """
    per_epoch = num_images // batch_size
    if per_epoch < 1:
        raise UserError(f"batch size is {batch_size}, but there are {num_images} training images; take a smaller batch")
    milestones = sorted({max(1, epochs * milestone * per_epoch // EPOCHS) for milestone in MILESTONES})
    return changed(
        PAPER_RECIPE,
        iterations=epochs * per_epoch,
        milestones=tuple(milestones),
        batch_size=batch_size,
        lr=0.1 * batch_size / BATCH_SIZE,
        crop_padding=0,
        log_every=min(100, per_epoch),
        eval_every=per_epoch,
        subtract="channel mean",
    )


def run(net: NetConfig, folder: Folder, seed: int, recipe: Recipe, image_size: int = IMAGE_SIZE) -> RunConfig:
    """One run of a net of Table 1 on a folder."""
    return RunConfig(net=net, data=DataConfig(name=folder.name, image_size=image_size), recipe=recipe, seed=seed)


@dataclass(frozen=True)
class Group:
    """The processes that train together, and which of them this is."""

    rank: int = 0
    size: int = 1

    def sum(self, values: Tensor) -> Tensor:
        """The sum over all processes, in each of them, in place."""
        if self.size > 1:
            distributed.all_reduce(values)
        return values

    def share_statistics(self, net: nn.Module) -> None:
        """Gives every process the first one's batch-norm statistics, which otherwise are of its own images."""
        if self.size > 1:
            for buffer in net.buffers():
                distributed.broadcast(buffer, 0)


@contextmanager
def joined(device: str | None = None) -> Iterator[tuple[Group, str | None]]:
    """Joins the processes that torchrun started, if it did; gives the group and the device of this process."""
    if not distributed.is_torchelastic_launched():
        yield Group(), device
        return
    if on_cuda := device != "cpu" and torch.cuda.is_available():
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
        device = f"cuda:{os.environ['LOCAL_RANK']}"
    store, rank, size = next(rendezvous("env://"))
    # The launcher may keep one store for all attempts, in which the address of a process that was lost is still found.
    store = distributed.PrefixStore(f"attempt {os.environ['TORCHELASTIC_RESTART_COUNT']}, {size} processes", store)
    distributed.init_process_group("nccl" if on_cuda else "gloo", store=store, rank=rank, world_size=size)
    try:
        yield Group(rank, size), device
    finally:
        distributed.destroy_process_group()


class ColourShift(nn.Module):
    """AlexNet's colour augmentation: adds to all pixels one random multiple of each direction of colour."""

    def forward(self, image: Tensor) -> Tensor:
        """(3, H, W) in [0, 1] -> the same shape."""
        amounts = torch.randn(3) * COLOUR_DEVIATION * torch.tensor(COLOUR_DEVIATIONS)
        return image + (torch.tensor(COLOUR_DIRECTIONS) @ amounts)[:, None, None]


Key = tuple[int, int]  # epoch and image


class TrainingViews(torch.utils.data.Dataset):
    """One view of each image and epoch as section 3.4 makes it, normalised, (3, S, S), and its label.

    At other sizes than 224 the range of the shorter side shrinks or grows in proportion.
    """

    def __init__(self, images: Images, image_size: int, seed: int) -> None:
        from torchvision.transforms import v2  # here, since `torchvision_compat` has to come first

        shortest, longest = (side * image_size // IMAGE_SIZE for side in SHORTER_SIDE)
        self.images, self.seed = images, seed
        self.transform = v2.Compose(
            [
                v2.RandomShortestSize(range(shortest, longest + 1)),
                v2.RandomCrop(image_size),
                v2.RandomHorizontalFlip(),
                v2.ToImage(),
                v2.ToDtype(torch.float32, scale=True),
                ColourShift(),
                v2.Normalize(MEAN, STD),
            ]
        )

    def __getitem__(self, key: Key) -> tuple[Tensor, int]:
        epoch, index = key
        stream = hashlib.sha256(f"{self.seed}:view{epoch}:{index}".encode()).digest()
        with torch.random.fork_rng(devices=[]):  # the draws depend on nothing but seed, epoch and image
            torch.manual_seed(int.from_bytes(stream[:7], "big"))
            return self.transform(read_image(self.images.files[index])).as_subclass(Tensor), self.images.labels[index]


class CentreViews(torch.utils.data.Dataset):
    """The centre crop of each image, normalised, (3, S, S), and its label: how Figure 4's errors are measured."""

    def __init__(self, images: Images, image_size: int) -> None:
        self.images = images
        self.protocol = Protocol("centre", (SHORTER_SIDE[0] * image_size // IMAGE_SIZE,), image_size)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        pixels = self.protocol.views(read_image(self.images.files[index]))[0][0] / 255  # (3, S, S)
        return (pixels - torch.tensor(MEAN)[:, None, None]) / torch.tensor(STD)[:, None, None], self.images.labels[
            index
        ]


def parts(num_images: int, recipe: Recipe, seed: int, group: Group, accumulate: int, start: int) -> Iterator[list[Key]]:
    """What this process trains on from iteration `start` to the end: `accumulate` parts of each batch, one by one.

    The batches are those of `data.Epoch`, whoever shares them out.
    """
    per_epoch, size = num_images // recipe.batch_size, recipe.batch_size // (group.size * accumulate)
    order: list[int] = []
    for iteration in range(start, recipe.iterations):
        epoch, position = divmod(iteration, per_epoch)
        if position == 0 or not order:
            order = Epoch.draw(num_images, 0, seed, epoch, torch.device("cpu")).order.tolist()
        batch = order[position * recipe.batch_size : (position + 1) * recipe.batch_size]
        for part in range(group.rank * accumulate, (group.rank + 1) * accumulate):
            yield [(epoch, image) for image in batch[part * size : (part + 1) * size]]


def load(
    views: torch.utils.data.Dataset, batches: Any, workers: int, device: torch.device
) -> Iterator[tuple[Any, Any]]:
    """Images (N, 3, S, S), channels-last, and labels (N,) of each batch of keys, on the device.

    Raises:
        UserError: an image cannot be read; it is named.
    """
    loader = DataLoader(views, batch_sampler=batches, num_workers=workers, pin_memory=device.type == "cuda")
    try:
        for images, labels in loader:
            images = images.to(device, memory_format=torch.channels_last, non_blocking=True)
            yield images, labels.to(device, non_blocking=True)
    except UserError as error:  # a loader's worker puts a traceback before the message
        raise UserError(str(error).strip().splitlines()[-1].removeprefix("resnet_lib.errors.UserError: ")) from None


@torch.no_grad()
def evaluate(
    net: nn.Module, images: Images, image_size: int, hardware: Hardware, group: Group, workers: int
) -> tuple[float, float]:
    """Mean loss and top-1 error in percent by centre crop, each process on its share of the images."""
    share = range(group.rank, len(images.files), group.size)
    batches = [list(share[first : first + 100]) for first in range(0, len(share), 100)]
    totals = torch.zeros(2, dtype=torch.float64, device=hardware.device)  # loss, errors
    group.share_statistics(net)
    net.eval()
    for batch, labels in load(CentreViews(images, image_size), batches, workers, hardware.device):
        with hardware.autocast():
            logits = forward(net, batch).float()
        totals[0] += F.cross_entropy(logits, labels, reduction="sum")
        totals[1] += (logits.argmax(dim=1) != labels).sum()
    net.train()
    loss, errors = (group.sum(totals) / len(images.files)).tolist()
    return loss, 100 * errors


def train(
    config: RunConfig,
    folder: Folder,
    hardware: Hardware | None = None,
    group: Group | None = None,
    *,
    accumulate: int = 1,
    workers: int = 0,
    checkpoint: Path | None = None,
    checkpoint_every: float = 600.0,
    time_limit: float | None = None,
    progress: Callable[[Progress], None] | None = None,
) -> tuple[RunRecord, nn.Module]:
    """Trains one net by section 3.4; returns its record and the trained net, the same in every process.

    The arithmetic of a batch: `batch_size` = processes x `accumulate` x images at once. Batch norm's statistics are
    over the images at once, 32 in the authors' own runs. Those kept for testing are the first process's. The record's
    errors are top-1 by centre crop; `protocols` tests the weights in the paper's other ways.

    Args:
        config: from `run`.
        folder: from `open_folder`.
        hardware: by default the best there is.
        group: from `joined`; by default this process alone.
        accumulate: parts of a process's share that are worked on one after the other, when memory is short.
        workers: processes that read and crop images, for each process that trains.
        checkpoint: as in `training.train`; every process reads it, the first one writes it.
        checkpoint_every, time_limit: seconds; both are heeded at points of the training curve.
        progress: called at each of these points.

    Raises:
        TimeLimitReached: the time was up first; call again with the same checkpoint to go on.
        UserError: the batch cannot be shared out evenly; an image is damaged; the loss is not finite; the checkpoint is
            damaged, another run's, or not the same for all processes.
    """
    hardware = hardware or Hardware.choose(precision=config.recipe.precision)
    group = group or Group()
    recipe, device = config.recipe, hardware.device
    if recipe.batch_size % (group.size * accumulate):
        raise UserError(
            f"a batch of {recipe.batch_size} cannot be shared out evenly among {group.size} processes with "
            f"{accumulate} parts each; choose numbers whose product divides it"
        )
    started = time.perf_counter()
    net = build(config.net, num_classes=len(folder.train.classes))
    initialize(net, config.seed)
    net = net.to(device, memory_format=torch.channels_last)
    optimizer = make_optimizer(net, recipe)

    course = Course(folder.digest)
    if checkpoint is not None and checkpoint.exists():
        course = load_checkpoint(checkpoint, config, folder.digest, net, optimizer)
    iteration, seconds_before = course.iteration, course.seconds
    train_points, test_points = course.train_points, course.test_points
    if group.sum(torch.tensor(iteration, device=device)) != group.size * iteration:
        raise UserError(f"checkpoint {checkpoint} is not there for all processes; RESNET_LIB_CACHE must be shared")
    if group.rank == 0:
        tell_changes(config.name, course.segments, hardware)
    course.segments.append(begin_segment(iteration, hardware))

    parallel = DistributedDataParallel(net) if group.size > 1 else net
    step_net = torch.compile(parallel) if hardware.compiled else parallel
    views = TrainingViews(folder.train, config.data.image_size, config.seed)
    keys = parts(len(folder.train.files), recipe, config.seed, group, accumulate, iteration)
    batches = load(views, keys, workers, device)
    sums = torch.zeros(2, dtype=torch.float64, device=device)  # loss and errors since the last training point

    at_once = recipe.batch_size // (group.size * accumulate)

    def attempt(size: int) -> None:
        backward(net, images[:size], labels[:size], hardware)
        optimizer.step()

    def more_parts(fits: int) -> str:
        return f"add --accumulate {accumulate * at_once // fits}"

    def seconds() -> float:
        return seconds_before + time.perf_counter() - started

    def save() -> None:
        if checkpoint is not None and group.rank == 0:
            course.seconds = seconds()  # at a point of the curve, where the sums are zero
            save_checkpoint(checkpoint, config, course, net, optimizer)

    net.train()
    saved_at = time.perf_counter()
    while iteration < recipe.iterations:
        lr = lr_at(recipe, iteration)
        set_lr(optimizer, lr, recipe.momentum_form)
        optimizer.zero_grad()
        with told_when_memory_is_short(config.name, at_once, attempt, more_parts):
            for part in range(accumulate):
                images, labels = next(batches)
                last = part == accumulate - 1  # only then are gradients exchanged
                with nullcontext() if last or group.size == 1 else parallel.no_sync():
                    loss, logits = backward(step_net, images, labels, hardware, accumulate)
                sums[0] += loss / accumulate
                sums[1] += (logits.argmax(dim=1) != labels).sum()
            optimizer.step()
        course.iteration = iteration = iteration + 1

        done = iteration == recipe.iterations
        logged = iteration % recipe.log_every == 0 or done
        if logged:
            since = iteration - (train_points[-1][0] if train_points else 0)
            total_loss, errors = group.sum(sums).tolist()
            mean_loss = total_loss / (since * group.size)
            if not isfinite(mean_loss):
                raise UserError(f"{config.name}: the loss is {mean_loss} after {iteration} iterations; lower lr")
            train_points.append((iteration, lr, mean_loss, 100 * errors / (since * recipe.batch_size)))
            sums.zero_()
            if progress is not None:
                progress(Progress(config.name, iteration, recipe.iterations, mean_loss, train_points[-1][3], seconds()))
        if iteration % recipe.eval_every == 0 or done:
            test_points.append(
                (iteration, *evaluate(net, folder.val, config.data.image_size, hardware, group, workers))
            )
        if logged and not done:
            now = time.perf_counter()
            late = torch.tensor(time_limit is not None and now - started > time_limit, device=device, dtype=torch.int)
            if group.sum(late):  # of one process is enough, and all stop together
                save()
                raise TimeLimitReached(f"{config.name}: stopped at {iteration} of {recipe.iterations} iterations")
            if now - saved_at > checkpoint_every:
                save()
                saved_at = now

    trained = evaluate(net, folder.train, config.data.image_size, hardware, group, workers)
    origin = provenance(folder.digest, course.segments, seconds(), iteration * recipe.batch_size)
    origin = origin.model_copy(update={"processes": group.size, "parts": accumulate})
    return make_record(config, course, trained, None, origin), net


def arithmetic(recipe: Recipe, group: Group, accumulate: int, num_images: int) -> str:
    """One line: how a batch is shared out, and what learning rate follows from its size."""
    at_once = recipe.batch_size // (group.size * accumulate)
    return (
        f"batch {recipe.batch_size} = {group.size} processes x {accumulate} parts x {at_once} images at once; "
        f"lr {recipe.lr:g} = 0.1 x {recipe.batch_size} / {BATCH_SIZE}; {recipe.iterations:,} iterations = "
        f"{recipe.iterations // (num_images // recipe.batch_size)} epochs"
    )


def nets_of(settings: Sequence[RunConfig], suite: str) -> list[NetConfig]:
    """The nets of a suite, each once.

    Raises:
        UserError: they are not nets of Table 1.
    """
    nets = list(dict.fromkeys(config.net for config in settings))
    if any(net.family != "imagenet" for net in nets):
        raise UserError(f"suite {suite} has nets that are not made for ImageNet; take table2, table3 or table3-deep")
    return nets
