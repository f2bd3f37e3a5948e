"""Tiny ImageNet's images as arrays, from its publisher's archive or from a folder of images for each class."""

import io
import re
import zipfile
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from resnet_lib.errors import UserError
from resnet_lib.files import MOST_ENTRIES, check_regular, read_regular

SIDE = 64
MOST_BYTES = 1 << 24  # of one file
FILES = ("tiny-imagenet-100", "tiny-imagenet-200", "tiny-imagenet-200.zip")
"""Under which names it is looked for: 100 classes of {train,val}/WNID/*.JPEG; the publisher's folder; its archive."""

HOW_TO_BRING = (
    "put the publisher's tiny-imagenet-200.zip, or the folder that it unpacks to, into a folder and set "
    "RESNET_LIB_DATA to it"
)
IN_CLASS_FOLDER = re.compile(r"(?:^|/)(train|val)/(n\d{8})/(?:images/)?[^/]+\.JPEG$")
IN_NO_CLASS_FOLDER = re.compile(r"(?:^|/)val/images/([^/]+\.JPEG)$")  # the publisher's way with validation images
ANNOTATIONS = re.compile(r"(?:^|/)val/val_annotations\.txt$")


def read(path: Path, num_classes: int) -> dict[str, np.ndarray]:
    """Arrays `x_train`, `y_train`, `x_test`, `y_test`, uint8: x (N, 64, 64, 3).

    The test set is the publisher's `val`, since the labels of `test` are secret. Of the classes, sorted by their
    WordNet numbers, every second, eighth, ... is taken, so that 100 classes are the same whether they are cut from the
    publisher's 200 or from a folder that has just these. Classes take turns, so that any first thousand images show
    all of them.

    Raises:
        UserError: an image is damaged or of another size; the classes cannot be shared out evenly.
        OSError, zipfile.BadZipFile: the folder or archive cannot be read.
    """
    if path.is_dir():
        names = [found.relative_to(path).as_posix() for found in path.rglob("*") if found.suffix in (".JPEG", ".txt")]
        return _read(path, names, lambda name: read_regular(path / name, MOST_BYTES), num_classes)
    check_regular(path)
    with zipfile.ZipFile(path) as archive:

        def read_bytes(name: str) -> bytes:
            if (size := archive.getinfo(name).file_size) > MOST_BYTES:
                raise ValueError(f"{name} has {size:,} bytes unpacked")
            return archive.read(name)

        return _read(path, archive.namelist(), read_bytes, num_classes)


def _read(path: Path, names: list[str], read_bytes: Callable[[str], bytes], num_classes: int) -> dict[str, np.ndarray]:
    """Finds the images of each class among the names, and decodes those of the chosen classes."""
    if len(names) > MOST_ENTRIES:
        raise ValueError(f"{len(names):,} files are in it")
    annotations = next((read_bytes(name).decode() for name in names if ANNOTATIONS.search(name)), "")
    wnids = dict(line.split("\t")[:2] for line in annotations.splitlines())  # of validation images
    images: dict[str, dict[str, list[str]]] = {"train": defaultdict(list), "val": defaultdict(list)}
    for name in names:
        if match := IN_CLASS_FOLDER.search(name):
            images[match[1]][match[2]].append(name)
        elif (match := IN_NO_CLASS_FOLDER.search(name)) and match[1] in wnids:
            images["val"][wnids[match[1]]].append(name)
    found = sorted(images["train"])
    if not found or len(found) % num_classes:
        raise UserError(f"{path} has {len(found)} classes below train, of which {num_classes} cannot be chosen evenly")
    chosen = found[:: len(found) // num_classes]

    arrays = {}
    for key, split in (("train", "train"), ("test", "val")):
        members = [
            (position, label, name)
            for label, wnid in enumerate(chosen)
            for position, name in enumerate(sorted(images[split][wnid], key=lambda name: name.rpartition("/")[2]))
        ]
        members.sort()
        pixels = [_decode(path, name, read_bytes(name)) for _, _, name in members]
        arrays[f"x_{key}"] = np.stack(pixels) if pixels else np.empty((0, SIDE, SIDE, 3), np.uint8)
        arrays[f"y_{key}"] = np.array([label for _, label, _ in members], dtype=np.uint8)
    return arrays


def _decode(path: Path, name: str, content: bytes) -> np.ndarray:
    """One image, (64, 64, 3) uint8; the few grey ones get three equal channels."""
    try:
        with Image.open(io.BytesIO(content), formats=("JPEG", "PNG")) as image:
            width, height = image.size
            pixels = np.asarray(image.convert("RGB")) if width == height == SIDE else None
    except Exception as error:  # what decoders raise on damaged files has no common type
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise UserError(f"{path}: image {name} is damaged ({reason}); unpack the archive again") from None
    if pixels is None:
        raise UserError(f"{path}: image {name} has {width} x {height} pixels; those of Tiny ImageNet have 64 x 64")
    return pixels
