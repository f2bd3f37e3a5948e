"""How a run draws its batches: which image when, cropped and mirrored how, and who of several processes works on it.

All of it follows from the recipe, the seed and the iteration. So a run goes on after an interruption as if there had
been none, also on another device or with another number of processes.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor
from torch.nn import functional as F

from resnet_lib.errors import UserError
from resnet_lib.runs.config import Recipe

Batch = tuple[Tensor, Tensor]
"""Images, float (N, C, H, W), normalised, and labels, int64 (N,), on the device that trains."""


@dataclass(frozen=True)
class Share:
    """What one of `size` processes works on: its part of each batch, cut into `parts` that it takes one by one."""

    rank: int = 0
    size: int = 1
    parts: int = 1


WHOLE = Share()


class RunData(Protocol):
    """What training and evaluation ask of a data set, be it in memory or in files."""

    digest: str
    num_classes: int
    in_channels: int

    def batches(self, recipe: Recipe, seed: int, start: int, share: Share = WHOLE) -> Iterator[Batch]:
        """What a process trains on from iteration `start` to the end, augmented: `share.parts` for each iteration.

        Raises:
            UserError: as `shared_out`; or an image cannot be read.
        """

    def views(self, split: str, share: Share = WHOLE) -> Iterator[Batch]:
        """Each image of a split ("train" or "test") of which this process has its share, once, not augmented."""


@dataclass(frozen=True)
class Epoch:
    """One pass over the training set: which image when, and how each is cropped and flipped. All on one device."""

    number: int
    order: Tensor  # (N,) int64
    offsets: Tensor  # (N, 2) int64, row and column at which the crop starts in the padded image
    flips: Tensor  # (N,) bool

    @classmethod
    def draw(cls, num_images: int, crop_padding: int, seed: int, epoch: int, device: torch.device) -> "Epoch":
        """Draws on the CPU from (seed, epoch) alone: equal on every device, and an interrupted run can redraw it."""
        stream = int.from_bytes(hashlib.sha256(f"{seed}:epoch{epoch}".encode()).digest()[:7], "big")
        generator = torch.Generator().manual_seed(stream)
        order = torch.randperm(num_images, generator=generator)
        offsets = torch.randint(0, 2 * crop_padding + 1, (num_images, 2), generator=generator)
        flips = torch.rand(num_images, generator=generator) < 0.5
        return cls(epoch, order.to(device), offsets.to(device), flips.to(device))


def iterations_per_epoch(num_images: int, batch_size: int) -> int:
    """How many whole batches a training set has.

    The remainder is left out, other images each epoch, so that all batches have one shape.

    Raises:
        UserError: not even one.
    """
    if batch_size > num_images:
        raise UserError(f"batch size is {batch_size}, but there are {num_images} training images; take a smaller batch")
    return num_images // batch_size


def shared_out(
    num_images: int, recipe: Recipe, seed: int, start: int, share: Share, device: torch.device
) -> Iterator[tuple[Epoch, slice]]:
    """What a process trains on from iteration `start` to the end, part by part: an epoch, and which of its images.

    Raises:
        UserError: a batch cannot be shared out evenly, or is larger than the training set.
    """
    per_epoch = iterations_per_epoch(num_images, recipe.batch_size)
    size, rest = divmod(recipe.batch_size, share.size * share.parts)
    if rest:
        raise UserError(
            f"a batch of {recipe.batch_size} cannot be shared out evenly among {share.size} processes with "
            f"{share.parts} parts each; choose numbers whose product divides it"
        )
    epoch: Epoch | None = None
    for iteration in range(start, recipe.iterations):
        number, position = divmod(iteration, per_epoch)
        if epoch is None or position == 0:
            epoch = Epoch.draw(num_images, recipe.crop_padding, seed, number, device)
        first = position * recipe.batch_size + share.rank * share.parts * size
        for part in range(first, first + share.parts * size, size):
            yield epoch, slice(part, part + size)


def augment(images: Tensor, offsets: Tensor, flips: Tensor, crop_padding: int) -> Tensor:
    """Pads with zeros, crops at `offsets`, mirrors where `flips`: one gather for the whole batch (section 4.2).

    Args:
        images: float (N, C, H, W), mean already subtracted, so that the zero border is the mean.
        offsets: int64 (N, 2), each in [0, 2 * crop_padding].
        flips: bool (N,).
        crop_padding: border in pixels.

    Returns:
        float (N, C, H, W), channels-last in memory.
    """
    n, _, height, width = images.shape
    padded = F.pad(images, (crop_padding,) * 4).permute(0, 2, 3, 1)  # (N, H + 2p, W + 2p, C)
    rows = offsets[:, :1] + torch.arange(height, device=images.device)  # (N, H)
    columns = torch.arange(width, device=images.device).expand(n, width)
    columns = offsets[:, 1:] + torch.where(flips[:, None], width - 1 - columns, columns)  # (N, W)
    batch = torch.arange(n, device=images.device)
    cropped = padded[batch[:, None, None], rows[:, :, None], columns[:, None, :]]  # (N, H, W, C)
    return cropped.permute(0, 3, 1, 2)
