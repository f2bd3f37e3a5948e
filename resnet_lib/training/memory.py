"""What to do when a GPU's memory is too small: take fewer images at once, or say how many fit."""

import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from resnet_lib.errors import UserError

FREE_MEMORY = "free some of its memory, or use the CPU (device cpu)"


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
