"""Batches: drawn from seed and epoch alone, augmented as the paper does it to an image, shared out whole."""

from itertools import islice

import numpy as np
import pytest
import torch
from samples import tiny_config, tiny_dataset

from resnet_lib.data.batches import WHOLE, Epoch, Share, augment, iterations_per_epoch, shared_out
from resnet_lib.errors import UserError
from resnet_lib.runs.config import Recipe, changed

CPU = torch.device("cpu")
RECIPE = tiny_config(batch_size=16).recipe  # 12 iterations; an epoch of 50 images has three, and two are left out
SHARED = pytest.mark.parametrize(("size", "parts"), [(1, 1), (2, 1), (1, 2), (2, 2), (4, 1)])

# Augmentation.


def one_by_one(images: np.ndarray, offsets: np.ndarray, flips: np.ndarray, padding: int) -> np.ndarray:
    """Section 4.2 as a loop over images: pad, crop, mirror."""
    height, width = images.shape[2:]
    out = []
    for image, (row, column), flip in zip(images, offsets, flips, strict=True):
        padded = np.pad(image, ((0, 0), (padding, padding), (padding, padding)))
        crop = padded[:, row : row + height, column : column + width]
        out.append(crop[:, :, ::-1] if flip else crop)
    return np.stack(out)


@pytest.mark.parametrize(("padding", "size"), [(4, (32, 32)), (2, (6, 10)), (0, (5, 5))])
def test_augmenting_a_batch_equals_pad_crop_flip_image_by_image(padding: int, size: tuple[int, int]) -> None:
    generator = torch.Generator().manual_seed(0)
    images = torch.randn(64, 3, *size, generator=generator)
    epoch = Epoch.draw(64, padding, seed=0, epoch=0, device=CPU)
    out = augment(images, epoch.offsets, epoch.flips, padding)
    assert np.array_equal(out.numpy(), one_by_one(images.numpy(), epoch.offsets.numpy(), epoch.flips.numpy(), padding))
    assert out.is_contiguous(memory_format=torch.channels_last)


def test_crop_from_the_centre_without_flip_changes_nothing() -> None:
    images = torch.randn(5, 3, 8, 8)
    out = augment(images, torch.full((5, 2), 4), torch.zeros(5, dtype=torch.bool), 4)
    assert torch.equal(out, images)


# Epochs.


def test_epochs_use_each_image_once_every_offset_and_half_of_the_flips() -> None:
    epoch = Epoch.draw(2000, 4, seed=0, epoch=0, device=CPU)
    assert torch.equal(epoch.order.sort().values, torch.arange(2000))
    for axis in (0, 1):
        counts = epoch.offsets[:, axis].bincount()
        assert len(counts) == 9
        assert counts.min() > 150  # 222 expected, deviation 14
    assert 0.45 < epoch.flips.float().mean() < 0.55


def test_epochs_depend_on_seed_and_number_alone() -> None:
    def draw(seed: int, epoch: int) -> torch.Tensor:
        drawn = Epoch.draw(100, 4, seed, epoch, CPU)
        return torch.cat([drawn.order, drawn.offsets.flatten(), drawn.flips.long()])

    first = draw(0, 0)
    torch.manual_seed(123)
    assert torch.equal(draw(0, 0), first)
    assert not torch.equal(draw(0, 1), first)
    assert not torch.equal(draw(1, 0), first)


# Sharing out.


def images_of(recipe: Recipe, share: Share, start: int = 0) -> list[tuple[int, list[int]]]:
    """Epoch and images of each part that a process works on."""
    parts = shared_out(50, recipe, seed=3, start=start, share=share, device=CPU)
    return [(epoch.number, epoch.order[part].tolist()) for epoch, part in parts]


@SHARED
def test_every_batch_is_shared_out_whole(size: int, parts: int) -> None:
    shares = [images_of(RECIPE, Share(rank, size, parts)) for rank in range(size)]
    for iteration in range(RECIPE.iterations):
        number, position = divmod(iteration, 3)
        order = Epoch.draw(50, RECIPE.crop_padding, 3, number, CPU).order.tolist()
        mine = slice(iteration * parts, (iteration + 1) * parts)
        cut = [part for share in shares for part in share[mine]]
        assert [(epoch, len(images)) for epoch, images in cut] == [(number, 16 // (size * parts))] * size * parts
        assert [image for _, images in cut for image in images] == order[position * 16 : (position + 1) * 16]


def test_what_is_left_after_an_interruption_is_the_rest() -> None:
    share = Share(rank=1, size=2, parts=2)
    assert images_of(RECIPE, share, start=7) == images_of(RECIPE, share)[14:]


def test_a_batch_that_cannot_be_shared_out_is_refused() -> None:
    with pytest.raises(UserError) as caught:
        images_of(RECIPE, Share(size=2, parts=3))
    assert str(caught.value) == (
        "a batch of 16 cannot be shared out evenly among 2 processes with 3 parts each; choose numbers whose product "
        "divides it"
    )


def test_a_batch_larger_than_the_training_set_is_refused() -> None:
    assert iterations_per_epoch(50, 50) == 1
    with pytest.raises(UserError) as caught:
        images_of(changed(RECIPE, batch_size=51), WHOLE)
    assert str(caught.value) == "batch size is 51, but there are 50 training images; take a smaller batch"


@SHARED
def test_a_data_sets_shares_of_a_batch_are_that_batch_cropped_and_mirrored_as_it_is(size: int, parts: int) -> None:
    dataset = tiny_dataset()
    whole = dataset.batches(RECIPE, seed=0, start=5)
    shares = [dataset.batches(RECIPE, 0, 5, Share(rank, size, parts)) for rank in range(size)]
    for _ in range(7):
        images, labels = next(whole)
        cut = [part for share in shares for part in islice(share, parts)]
        assert torch.equal(torch.cat([images for images, _ in cut]), images)
        assert torch.equal(torch.cat([labels for _, labels in cut]), labels)
    assert all(next(share, None) is None for share in [whole, *shares])


@pytest.mark.parametrize("split", ["train", "test"])
def test_every_image_is_viewed_once_by_one_process(split: str) -> None:
    dataset = tiny_dataset()
    images, labels = getattr(dataset, f"{split}_images"), getattr(dataset, f"{split}_labels")
    for size in (1, 3):
        for rank in range(size):
            views = list(dataset.views(split, Share(rank, size)))
            assert torch.equal(torch.cat([view for view, _ in views]), dataset.normalize(images[rank::size]))
            assert torch.equal(torch.cat([label for _, label in views]), labels[rank::size])
