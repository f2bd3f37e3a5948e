"""ImageNet at full size, or any folder of images, as section 3.4 trains on it.

Which images make a batch and how each is cropped follows from the seed, the epoch and the image alone, never from the
number of processes or of loader workers. So a run goes on from its checkpoint after any interruption, also with fewer
processes; only batch norm sees other parts then.

The departures from section 3.4: a mean per channel is subtracted instead of one per pixel; the learning rate is stepped
at epochs fixed beforehand instead of by looking at the error; batch norm's statistics are moving averages.
"""

import hashlib
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader

from resnet_lib.data.batches import WHOLE, Batch, Share, iterations_per_epoch, shared_out
from resnet_lib.errors import UserError
from resnet_lib.files import boundary
from resnet_lib.runs.config import DataConfig, NetConfig, Recipe, RunConfig, changed
from resnet_lib.runs.profiles import PAPER_RECIPE
from resnet_lib.training.processes import Group
from resnet_lib.training.protocols import MEAN, STD, Images, Protocol, find_images, read_image

IMAGE_SIZE = 224
IMAGENET_IMAGES = 1_281_167  # for training
SHORTER_SIDE = (256, 480)  # of a training image before a square of 224 is cut from it: drawn anew each time
BATCH_SIZE = 256
TESTED_AT_ONCE = 100
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

    The digest covers names, classes and sizes of all files. Reading 150 GB to hash them would take an hour. `workers`
    processes read and crop images, for each process that trains; with 0 it does so itself.
    """

    train: Images
    val: Images
    digest: str
    workers: int = 0

    @property
    def name(self) -> str:
        """What a record calls the data: "imagenet" only if there are as many classes and images as ImageNet has."""
        whole = (len(self.train.classes), len(self.train.files), len(self.val.files)) == (1000, IMAGENET_IMAGES, 50_000)
        return "imagenet" if whole else f"folder-{self.digest}"

    def for_run(self, config: RunConfig, device: torch.device) -> "FolderViews":
        """The images as a run sees them."""
        return FolderViews(**vars(self), image_size=config.data.image_size, device=device)


def open_folder(path: Path, workers: int = 0) -> Folder:
    """Lists the images of an ImageNet folder; for `workers` see `Folder`.

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
            with boundary(lambda reason, file=file: f"{file} cannot be read ({reason}); remove or replace it"):
                size = file.stat().st_size  # of a broken link there is none
            digest.update(os.fsencode(f"{file.relative_to(path).as_posix()} {label} {size}\n"))
    return Folder(train, val, digest.hexdigest()[:16], workers)


def recipe(num_images: int, batch_size: int = BATCH_SIZE, epochs: int = EPOCHS) -> Recipe:
    """Section 3.4's recipe for this many training images.

    The learning rate is the paper's 0.1 for its batch of 256 and grows with the batch (Goyal et al. 2017, section 2.1).
    The steps stay where they are in proportion when the epochs are fewer.

    Raises:
        UserError: there are fewer images than one batch has.
    """
    per_epoch = iterations_per_epoch(num_images, batch_size)
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
    """The centre crop of each image, normalised, (3, S, S), and its label: how Figure 4's errors are measured.

    `protocols` tests trained weights in the paper's other ways.
    """

    def __init__(self, images: Images, image_size: int) -> None:
        self.images = images
        self.protocol = Protocol("centre", (SHORTER_SIDE[0] * image_size // IMAGE_SIZE,), image_size)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        pixels = self.protocol.views(read_image(self.images.files[index]))[0][0] / 255  # (3, S, S)
        pixels = (pixels - torch.tensor(MEAN)[:, None, None]) / torch.tensor(STD)[:, None, None]
        return pixels, self.images.labels[index]


@dataclass(frozen=True, kw_only=True)
class FolderViews(Folder):
    """A folder as a run sees it: images are read and cropped when they are due, and go to the device that trains."""

    image_size: int
    device: torch.device
    in_channels = 3

    @property
    def num_classes(self) -> int:
        """As many as there are in train and in val."""
        return len(self.train.classes)

    def batches(self, recipe: Recipe, seed: int, start: int, share: Share = WHOLE) -> Iterator[Batch]:
        """See `RunData`."""
        parts = shared_out(len(self.train.files), recipe, seed, start, share, torch.device("cpu"))
        keys = ([(epoch.number, image) for image in epoch.order[part].tolist()] for epoch, part in parts)
        return self._read(TrainingViews(self.train, self.image_size, seed), keys)

    def views(self, split: str, share: Share = WHOLE) -> Iterator[Batch]:
        """See `RunData`."""
        images = {"train": self.train, "test": self.val}[split]
        mine = range(share.rank, len(images.files), share.size)
        keys = [list(mine[first : first + TESTED_AT_ONCE]) for first in range(0, len(mine), TESTED_AT_ONCE)]
        return self._read(CentreViews(images, self.image_size), keys)

    def _read(self, views: torch.utils.data.Dataset, batches: Iterable[list]) -> Iterator[Batch]:
        """The images and labels of each batch of keys.

        Raises:
            UserError: an image cannot be read; it is named.
        """
        pinned = self.device.type == "cuda"
        loader = DataLoader(views, batch_sampler=batches, num_workers=self.workers, pin_memory=pinned)
        try:
            for images, labels in loader:
                images = images.to(self.device, memory_format=torch.channels_last, non_blocking=True)
                yield images, labels.to(self.device, non_blocking=True)
        except UserError as error:  # a loader's worker puts a traceback before the message
            raise UserError(str(error).rpartition("resnet_lib.errors.UserError: ")[2].removesuffix("\\n")) from None
        except RuntimeError as error:
            if not str(error).startswith("DataLoader worker"):
                raise
            raise UserError("a process that reads images was killed, for want of memory perhaps; repeat") from None


def arithmetic(recipe: Recipe, group: Group, num_images: int) -> str:
    """One line: how a batch is shared out, and what learning rate follows from its size."""
    at_once = recipe.batch_size // (group.size * group.parts)
    return (
        f"batch {recipe.batch_size} = {group.size} processes x {group.parts} parts x {at_once} images at once; "
        f"lr {recipe.lr:g} = 0.1 x {recipe.batch_size} / {BATCH_SIZE}; {recipe.iterations:,} iterations = "
        f"{recipe.iterations // iterations_per_epoch(num_images, recipe.batch_size)} epochs"
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
