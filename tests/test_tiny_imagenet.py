"""Tiny ImageNet is the same data set from its publisher's archive, from the folder in it, and from a folder of half its
classes. The images here are made up: 8 classes, of which 4 or 2 are chosen."""

import dataclasses
import io
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from resnet_lib import data
from resnet_lib.data import tiny_imagenet
from resnet_lib.data.sets import SOURCES, Source
from resnet_lib.errors import UserError

WNIDS = [f"n{number:08d}" for number in (7, 11, 3, 42, 29, 5, 2, 13)]
TRAIN, VAL = 11, 3  # images of each class: 10 comes before 2 when sorted by name


def jpeg(colour: tuple[int, ...], size: tuple[int, int] = (64, 64)) -> bytes:
    """An image of one colour, or grey, that is nearly the same after compression."""
    buffer = io.BytesIO()
    Image.new("RGB" if len(colour) == 3 else "L", size, colour if len(colour) == 3 else colour[0]).save(buffer, "JPEG")
    return buffer.getvalue()


def colour(label: int, split: str, number: int) -> tuple[int, int, int]:
    """Tells each image apart by its red (class), green (split) and blue (position) values."""
    return 30 * label, 200 if split == "train" else 50, 20 * number


@pytest.fixture
def home(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's folder; the two data sets are scaled down to 4 and 2 of 8 classes."""
    for name, classes in (("tiny-imagenet-100", 4), ("tiny-imagenet-25", 2)):
        monkeypatch.setitem(SOURCES, name, scaled(name, classes))
    return folder


def scaled(name: str, classes: int, train: int = TRAIN, val: int = VAL) -> Source:
    """A data set of fewer classes, with so many images of each."""
    return dataclasses.replace(SOURCES[name], num_classes=classes, num_train=classes * train, num_test=classes * val)


def publish(home: Path, train: int = TRAIN, val: int = VAL) -> Path:
    """Writes all 8 classes as their publisher does: validation images in one folder, out of order, with annotations."""
    root = home / "tiny-imagenet-200"
    (root / "val" / "images").mkdir(parents=True)
    (root / "wnids.txt").write_text("\n".join(WNIDS))
    lines = []
    for label, wnid in enumerate(sorted(WNIDS)):
        (root / "train" / wnid / "images").mkdir(parents=True)
        (root / "train" / wnid / f"{wnid}_boxes.txt").write_text("")
        for number in range(train):
            content = jpeg(colour(label, "train", number))
            (root / "train" / wnid / "images" / f"{wnid}_{number}.JPEG").write_bytes(content)
        for number in range(val):
            name = f"val_{1000 + number * 8 + (label * 5) % 8}.JPEG"
            (root / "val" / "images" / name).write_bytes(jpeg(colour(label, "val", number)))
            lines.append(f"{name}\t{wnid}\t0\t0\t63\t63")
    (root / "val" / "val_annotations.txt").write_text("\n".join(reversed(lines)) + "\n")
    return root


def archive(home: Path) -> Path:
    root = publish(home)
    with zipfile.ZipFile(home / "tiny-imagenet-200.zip", "w") as target:
        for path in sorted(root.rglob("*"), reverse=True):
            target.write(path, path.relative_to(home))
    shutil.rmtree(root)
    return home / "tiny-imagenet-200.zip"


def half(home: Path) -> Path:
    """Every second class, one folder a class also for validation."""
    root = publish(home)
    target = home / "tiny-imagenet-100"
    annotations = dict(line.split("\t")[:2] for line in (root / "val" / "val_annotations.txt").read_text().splitlines())
    for wnid in sorted(WNIDS)[::2]:
        shutil.copytree(root / "train" / wnid / "images", target / "train" / wnid)
        (target / "val" / wnid).mkdir(parents=True)
        for name, of in annotations.items():
            if of == wnid:
                shutil.copy(root / "val" / "images" / name, target / "val" / wnid)
    shutil.rmtree(root)
    return target


LAYOUTS: list[Callable[[Path], Path]] = [publish, archive, half]


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize(("name", "every"), [("tiny-imagenet-100", 2), ("tiny-imagenet-25", 4)])
def test_each_layout_gives_every_second_or_later_class_taking_turns(
    layout: Callable[[Path], Path], name: str, every: int, home: Path
) -> None:
    path = layout(home)
    assert data.locate(name) == path
    dataset = data.load(name, 64)
    classes = list(range(8))[::every]
    assert dataset.num_classes == len(classes)
    for split, count in (("train", TRAIN), ("test", VAL)):
        labels = getattr(dataset, f"{split}_labels")
        assert labels.tolist() == list(range(len(classes))) * count
        images = getattr(dataset, f"{split}_images")
        assert images.shape == (len(classes) * count, 3, 64, 64)
        order = sorted(range(count), key=str)  # as file names sort
        for index, image in enumerate(images):
            wanted = colour(
                classes[labels[index]], "train" if split == "train" else "val", order[index // len(classes)]
            )
            assert (image.float().mean(dim=(1, 2)) - torch.tensor(wanted)).abs().max() < 6  # JPEG is not exact


def test_all_layouts_have_one_digest(home: Path) -> None:
    digests = set()
    for layout in LAYOUTS:
        path = layout(home)
        digests.add(data.load("tiny-imagenet-100", 64).digest)
        path.unlink() if path.is_file() else shutil.rmtree(path)
    assert len(digests) == 1


def test_a_grey_image_gets_three_equal_channels(home: Path) -> None:
    path = half(home) / "train" / sorted(WNIDS)[0] / f"{sorted(WNIDS)[0]}_0.JPEG"
    path.write_bytes(jpeg((77,)))
    assert np.array_equal(data.load("tiny-imagenet-100", 64).train_images[0].unique(), [77])


def complaint(name: str = "tiny-imagenet-100") -> str:
    with pytest.raises(UserError) as caught:
        data.load(name, 64)
    assert "\n" not in str(caught.value)
    return str(caught.value)


EPS = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 64 64\n%%EndComments\nshowpage\n"
BAD = {"empty": b"", "text": b"no image", "cut short": jpeg((1, 2, 3))[:300], "an EPS": EPS}


@pytest.mark.fault("bad image")
@pytest.mark.parametrize("content", BAD.values(), ids=BAD)
@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_damaged_image_is_named(content: bytes, layout: Callable[[Path], Path], home: Path) -> None:
    wnid = sorted(WNIDS)[4]
    path = layout(home)
    name = f"{wnid}_7.JPEG"
    if path.is_file():
        with zipfile.ZipFile(path) as source:
            contents = {info.filename: source.read(info) for info in source.infolist()}
        with zipfile.ZipFile(path, "w") as target:
            for inside, old in contents.items():
                target.writestr(inside, content if inside.endswith(name) else old)
    else:
        next(path.rglob(name)).write_bytes(content)
    message = complaint()
    assert message.startswith(f"{path}: image ")
    assert f"{name} is damaged (" in message
    assert message.endswith("); unpack the archive again")


def test_an_image_of_another_size_is_named(home: Path) -> None:
    path = half(home)
    name = f"train/{sorted(WNIDS)[2]}/{sorted(WNIDS)[2]}_3.JPEG"
    (path / name).write_bytes(jpeg((1, 2, 3), (48, 64)))
    assert complaint() == f"{path}: image {name} has 48 x 64 pixels; those of Tiny ImageNet have 64 x 64"


def test_missing_images_are_counted(home: Path) -> None:
    path = half(home)
    (path / "val" / sorted(WNIDS)[0] / next((path / "val" / sorted(WNIDS)[0]).iterdir())).unlink()
    assert complaint().startswith(f"{path}: x_test is uint8 (11, 64, 64, 3); it must be uint8 (12, 64, 64, 3)")


def test_a_folder_without_the_right_number_of_classes_is_refused(home: Path) -> None:
    path = half(home)
    shutil.rmtree(path / "train" / sorted(WNIDS)[0])
    assert complaint() == f"{path} has 3 classes below train, of which 4 cannot be chosen evenly"


@pytest.mark.fault("truncated download")
def test_a_truncated_archive_is_named(home: Path) -> None:
    path = archive(home)
    path.write_bytes(path.read_bytes()[:2000])
    assert complaint().startswith(f"{path} is truncated or damaged (")
    assert complaint().endswith("replace it")


def test_without_the_images_the_message_says_where_to_put_them(home: Path) -> None:
    message = complaint()
    assert message.startswith(f"Tiny ImageNet, every second class is in none of {home}, ")
    assert message.endswith(tiny_imagenet.HOW_TO_BRING)
