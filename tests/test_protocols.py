"""The paper's tests of ImageNet nets, held against slow implementations that look at one view at a time."""

import functools
import itertools
import json
import os
import pickle
import re
import struct
import subprocess
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.error import URLError

import numpy as np
import pytest
import safetensors.torch
import torch
from PIL import EpsImagePlugin, Image, ImageOps
from torch import Tensor, nn
from torch.nn import functional as F

from resnet_lib.cli import main
from resnet_lib.data.torchvision_compat import torchvision
from resnet_lib.errors import UserError
from resnet_lib.nets.models import ImageNetNet, initialize
from resnet_lib.runs.paper import paper, paper_table
from resnet_lib.show import tables
from resnet_lib.training import protocols
from resnet_lib.training.protocols import (
    EXTENSIONS,
    IMAGES_AT_ONCE,
    MAX_ASPECT,
    NETS,
    PROTOCOLS,
    Protocol,
    Result,
    evaluate,
    find_images,
    load_net,
    read_image,
    scores,
)

CLASSES = 12
PRESET = torchvision.models.ResNet18_Weights.IMAGENET1K_V1.transforms()
SMALL = {  # the paper's protocols for small images: a net has thirty to a hundred times less to do
    "centre": Protocol("centre", (48,), 40),
    "10-crop": Protocol("10-crop", (48,), 40, corners=True, mirror=True),
    "multi-scale": Protocol("multi-scale", (32, 45, 64), None, mirror=True),
}
SHAPES = [(100, 75), (75, 100), (83, 83), (30, 41), (150, 61), (61, 150)]  # width and height


def picture(size: tuple[int, int], seed: int) -> Image.Image:
    """Smooth coloured blobs, so that neither a crop nor its mirror image looks like another."""
    coarse = np.random.default_rng(seed).integers(0, 256, (5, 6, 3), dtype=np.uint8)
    return Image.fromarray(coarse).resize(size, Image.Resampling.BICUBIC)


def random_net(depth: int, shortcut: str, seed: int, num_classes: int = CLASSES) -> ImageNetNet:
    """A net whose probabilities are neither even nor all in one class, and depend on the view."""
    net = ImageNetNet(depth, shortcut, num_classes).eval()
    initialize(net, seed)
    with torch.inference_mode():
        views = [PRESET(picture((256, 256), other)) for other in range(50, 58)]
        logits = net(F.interpolate(torch.stack(views), size=64))
    with torch.no_grad():
        net.fc.weight.mul_(2 / logits.std(dim=0).mean())
        net.fc.bias.copy_(-logits.mean(dim=0) * 2 / logits.std(dim=0).mean())
    return net


@pytest.fixture(scope="module")
def nets() -> list[tuple[str, nn.Module]]:
    return [("residual", random_net(18, "A", 1)), ("plain", random_net(18, "none", 2))]


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("pictures")
    paths = [folder / f"{number}.png" for number in range(len(SHAPES))]
    for number, (path, size) in enumerate(zip(paths, SHAPES, strict=True)):
        picture(size, number).save(path)
    return paths


def in_classes(folder: Path, num_classes: int = CLASSES) -> Path:
    """Empty folders of so many classes."""
    for label in range(num_classes):
        (folder / f"class{label:04}").mkdir(parents=True)
    return folder


@pytest.fixture
def few(tmp_path: Path) -> Path:
    """Three images of the first class."""
    folder = in_classes(tmp_path / "images")
    for seed in range(3):
        picture((90, 80), seed).save(folder / "class0000" / f"{seed}.jpg")
    return folder


class Colour(nn.Module):
    """A net with the mean colour of a view as its only feature, which costs nothing."""

    def __init__(self, bias: list[float], weight: float = 0.0) -> None:
        super().__init__()
        self.fc = nn.Linear(3, len(bias))
        with torch.no_grad():
            self.fc.bias.copy_(torch.tensor(bias))
            self.fc.weight.fill_(weight)

    def forward(self, images: Tensor) -> Tensor:
        return self.fc(images.mean(dim=(2, 3)))


# Views and scores.


def slow_views(path: Path, protocol: Protocol) -> Iterator[Image.Image]:
    """Every view by itself, cut by Pillow."""
    image = Image.open(path).convert("RGB")
    for scale in protocol.scales:
        w, h = image.size
        w, h = (scale, int(scale * h / w)) if w < h else (int(scale * w / h), scale)
        resized = image.resize((w, h), Image.Resampling.BILINEAR)
        if protocol.crop is None:
            cut = [resized]
        else:
            c = protocol.crop
            corners = [(0, 0), (w - c, 0), (0, h - c), (w - c, h - c)] if protocol.corners else []
            places = [(round((w - c) / 2), round((h - c) / 2)), *corners]
            cut = [resized.crop((left, top, left + c, top + c)) for left, top in places]
        for view in cut:
            yield view
            if protocol.mirror:
                yield ImageOps.mirror(view)


def slow_logits(net: nn.Module, view: Image.Image) -> Tensor:
    """The fully connected layer as a 1x1 convolution, applied at every position, and the mean over positions."""
    pixels = torch.tensor(np.asarray(view), dtype=torch.float32).permute(2, 0, 1) / 255
    x = torchvision.transforms.functional.normalize(pixels, PRESET.mean, PRESET.std)[None]
    x = F.max_pool2d(F.relu(net.bn1(net.conv1(x))), 3, stride=2, padding=1)
    x = net.layer4(net.layer3(net.layer2(net.layer1(x))))
    return F.conv2d(x, net.fc.weight[:, :, None, None], net.fc.bias).mean(dim=(2, 3))[0]


@functools.cache
@torch.inference_mode()
def all_logits(net: nn.Module, path: Path, protocol: Protocol) -> Tensor:
    """Of every view (views, num_classes)."""
    return torch.stack([slow_logits(net, view) for view in slow_views(path, protocol)])


@pytest.mark.parametrize("name", SMALL)
def test_scores_are_the_mean_of_probabilities_over_views_seen_one_by_one(
    name: str, nets: list[tuple[str, nn.Module]], pictures: list[Path]
) -> None:
    protocol, net = SMALL[name], nets[0][1]
    moved = []
    for path in pictures:
        logits = all_logits(net, path, protocol)
        expected = logits.softmax(dim=1).mean(dim=0)
        found = scores(net, [views[None] for views in protocol.views(read_image(path))])
        torch.testing.assert_close(found[0], expected, atol=2e-5, rtol=0, msg=lambda m, path=path: f"{path}: {m}")
        moved.append(float((logits.mean(dim=0).softmax(dim=0) - expected).abs().max()))
    if protocol.mirror:
        assert max(moved) > 0.01, "this test would not notice a mean of logits"


@pytest.mark.parametrize("name", SMALL)
def test_errors_of_nets_and_of_their_ensemble_are_those_of_the_slow_scores(
    name: str, nets: list[tuple[str, nn.Module]], pictures: list[Path], tmp_path: Path
) -> None:
    protocol, members = SMALL[name], [net for _, net in nets]
    folder = in_classes(tmp_path / "images")
    by_net = [[all_logits(net, path, protocol).softmax(1).mean(0) for net in members] for path in pictures]
    ranks: dict[tuple[str, ...], list[int]] = {(name,): [] for name, _ in nets}
    ranks["residual", "plain"] = []
    for path, each, rank in zip(pictures, by_net, (0, 4, 5, 0, 1, 6), strict=True):
        together = torch.stack(each).mean(0)
        label = int(together.argsort(descending=True)[rank])
        (folder / f"class{label:04}" / path.name).write_bytes(path.read_bytes())
        for names, found in zip(ranks, [*each, together], strict=True):
            ranks[names].append(int((found > found[label]).sum()))
    assert ranks["residual", "plain"] == [0, 4, 5, 0, 1, 6]
    assert len({tuple(each) for each in ranks.values()}) == 3, "this test would not tell the nets apart"

    results = evaluate(nets, find_images(folder), [protocol], device="cpu")
    assert [result.nets for result in results] == list(ranks)
    for result, found in zip(results, ranks.values(), strict=True):
        assert (result.protocol, result.classes, result.images, result.skipped) == (name, CLASSES, 6, ())
        assert result.top1_error == 100 * sum(rank > 0 for rank in found) / 6
        assert result.top5_error == 100 * sum(rank >= 5 for rank in found) / 6


def test_an_ensemble_averages_probabilities_and_not_logits(tmp_path: Path) -> None:
    folder = in_classes(tmp_path, 3)
    picture((40, 40), 0).save(folder / "class0001" / "a.png")
    sure, torn = ("sure", Colour([0, 4, 0])), ("torn", Colour([0, -10, 0]))  # logits: class 1 loses, with -3 to 0
    results = evaluate([sure, torn], find_images(folder), [SMALL["centre"]], device="cpu")
    assert [(result.nets, result.top1_error) for result in results] == [
        (("sure",), 0),
        (("torn",), 100),
        (("sure", "torn"), 0),
    ]


def test_the_protocols_are_the_papers() -> None:
    text = paper()["paper"]["imagenet_recipe"]["test"]
    assert PROTOCOLS["multi-scale"].scales == tuple(
        int(scale) for scale in re.search(r"\{([\d,]+)\}", text)[1].split(",")
    )
    views = [len(protocol.views(picture((50, 60), 0))) for protocol in PROTOCOLS.values()]
    assert views == [1, 1, 5]
    assert [len(protocol.views(picture((50, 60), 0))[0]) for protocol in PROTOCOLS.values()] == [1, 10, 2]
    for name, protocol in PROTOCOLS.items():
        same = (protocol.name, protocol.crop is None, protocol.corners, protocol.mirror)
        assert same == (name, SMALL[name].crop is None, SMALL[name].corners, SMALL[name].mirror)


@pytest.mark.parametrize("size", [*SHAPES, (640, 480), (7, 5), (256, 256)])
def test_crops_have_the_pixels_that_torchvision_cuts(size: tuple[int, int]) -> None:
    image = picture(size, 9)
    (centre,) = PROTOCOLS["centre"].views(image)
    normalised = torchvision.transforms.functional.normalize(centre / 255, PRESET.mean, PRESET.std)
    torch.testing.assert_close(normalised[0], PRESET(image))

    (ten,) = PROTOCOLS["10-crop"].views(image)
    theirs = torchvision.transforms.TenCrop(224)(torchvision.transforms.Resize(256)(image))
    theirs = [torchvision.transforms.functional.pil_to_tensor(view) for view in theirs]
    # Four corners and the centre, then those of the mirror image, whose left is the right. Its centre can lie a pixel
    # off the mirrored centre, where one pixel more has to go to one side.
    assert torch.equal(ten[:5], torch.stack([theirs[i] for i in (4, 0, 1, 2, 3)]))
    assert torch.equal(ten[6:], torch.stack([theirs[i] for i in (6, 5, 8, 7)]))
    assert torch.equal(ten[5], ten[0].flip(2))


def test_pixels_are_normalised_as_torchvisions_weights_expect() -> None:
    assert (list(protocols.MEAN), list(protocols.STD)) == (PRESET.mean, PRESET.std)


@pytest.mark.parametrize(("scales", "crop"), [((), 224), ((256, 200), 224), ((0,), None)])
def test_a_protocol_that_cannot_be_is_refused(scales: tuple[int, ...], crop: int | None) -> None:
    with pytest.raises(ValueError, match="no scale may be below the crop"):
        Protocol("wrong", scales, crop)


# Folders and files.


def test_a_folder_has_the_classes_and_labels_of_torchvisions(few: Path) -> None:
    for name in ("2/a.JPEG", "10/b.PnG", "10/deep/er/c.webp", "10/notes.txt", "Z/d.tif"):
        (few / name).parent.mkdir(parents=True, exist_ok=True)
        (few / name).touch()
    (few / "readme.jpg").touch()
    theirs = torchvision.datasets.ImageFolder(few, allow_empty=True)
    images = find_images(few)
    assert list(images.classes) == theirs.classes
    assert images.classes[:2] == ("10", "2"), "in the order of names, not of numbers"
    found = zip(map(str, images.files), images.labels, strict=True)
    assert sorted(found) == sorted(theirs.samples)
    assert len(images.files) == 7


def test_what_is_hidden_is_no_image_and_no_class(few: Path) -> None:
    before = find_images(few)
    (few / ".cache").mkdir()
    (few / ".cache" / "a.jpg").touch()
    (few / "class0000" / "._0.jpg").touch()  # what macOS leaves beside a file
    (few / "class0000" / "folder.jpg").mkdir()
    assert find_images(few) == before


@pytest.mark.parametrize("folder", ["absent", "file", "no classes", "no images"])
def test_a_folder_without_images_of_classes_is_refused_in_one_line(folder: str, tmp_path: Path) -> None:
    path = tmp_path / folder
    expected = {
        "absent": "is no folder; name one",
        "file": "is no folder; name one",
        "no classes": "has no class folders; put",
        "no images": r"hold no images \(.*\.jpeg",
    }
    if folder == "file":
        path.touch()
    if folder.startswith("no"):
        path.mkdir()
        (path / "a.jpg").touch()
    if folder == "no images":
        (path / "cat").mkdir()
        (path / "cat" / "notes.txt").touch()
    with pytest.raises(UserError, match=expected[folder]) as caught:
        find_images(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


MODES = {  # mode: file, and how many grey values a channel may differ from the image by, or None where colours are lost
    "L": ("a.png", None),
    "1": ("a.png", None),
    "LA": ("a.png", None),
    "P": ("a.png", None),
    "RGBA": ("a.png", 0),
    "CMYK": ("a.jpg", 40),
    "YCbCr": ("a.tif", 3),
}


@pytest.mark.parametrize("mode", MODES)
def test_every_kind_of_colour_becomes_red_green_and_blue(mode: str, tmp_path: Path) -> None:
    name, tolerance = MODES[mode]
    image = picture((60, 50), 3)
    image.convert(mode).save(tmp_path / name)
    try:
        Image.open(tmp_path / name).load()
    except OSError as error:
        pytest.skip(f"this Pillow cannot read what it has written: {error}")
    found = read_image(tmp_path / name)
    assert (found.mode, found.size) == ("RGB", (60, 50))
    (views,) = SMALL["10-crop"].views(found)
    assert (views.shape, views.dtype) == ((10, 3, 40, 40), torch.uint8)
    pixels = np.asarray(found).astype(int)
    if tolerance is not None:
        assert np.abs(pixels - np.asarray(image)).max() <= tolerance
    if mode in ("L", "1", "LA"):
        assert (pixels[..., :1] == pixels).all()
        assert pixels.std() > 10


def test_orientation_in_exif_is_not_applied_as_torchvision_does_not(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by a quarter
    picture((60, 50), 3).save(tmp_path / "turned.jpg", exif=exif)
    found = read_image(tmp_path / "turned.jpg")
    assert found.size == (60, 50)
    theirs = torchvision.datasets.folder.default_loader(tmp_path / "turned.jpg")
    assert np.array_equal(np.asarray(found), np.asarray(theirs))


def test_strips_are_tested_up_to_a_limit(tmp_path: Path) -> None:
    for width in (MAX_ASPECT * 3, MAX_ASPECT * 3 + 1):
        picture((width, 3), 0).save(tmp_path / f"{width}.png")
    views = SMALL["multi-scale"].views(read_image(tmp_path / f"{MAX_ASPECT * 3}.png"))
    assert [tuple(view.shape[2:]) for view in views] == [(s, s * MAX_ASPECT) for s in SMALL["multi-scale"].scales]
    with pytest.raises(UserError, match=r"97.png is 97 x 3 pixels, one side more than 32 times the other; cut it"):
        read_image(tmp_path / "97.png")


def broken_link(path: Path) -> None:
    path.unlink()
    path.symlink_to(path.parent / "nowhere.jpg")


def announced(width: int, height: int) -> bytes:
    """The beginning of a PNG file of so many pixels."""
    header = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + header + struct.pack(">II", zlib.crc32(header), 0) + b"IDAT"


DAMAGES: dict[str, tuple[Callable[[Path], object], str]] = {
    "cut short": (lambda path: path.write_bytes(path.read_bytes()[:-400]), "truncated"),
    "cut in its head": (lambda path: path.write_bytes(path.read_bytes()[:30]), "cannot be read as an image"),
    "text": (lambda path: path.write_text("no image"), "its format is unknown"),
    "empty": (lambda path: path.write_bytes(b""), "its format is unknown"),
    "a broken link": (broken_link, "No such file or directory"),
    "a pipe": (lambda path: (path.unlink(), os.mkfifo(path)), "it is no file"),
    "a device": (lambda path: (path.unlink(), path.symlink_to("/dev/zero")), "it is no file"),
    "too many pixels": (lambda path: path.write_bytes(announced(12_000, 10_000)), "it has 12000 x 10000 pixels"),
    "16 bits": (lambda path: Image.new("I;16", (9, 9), 9).save(path, "png"), "more than 8 bits"),
    "a strip": (lambda path: picture((400, 2), 0).save(path), "400 x 2 pixels"),
}


@pytest.mark.filterwarnings("ignore:Image size")
@pytest.mark.fault("bad image")
@pytest.mark.parametrize(("damage", "message"), DAMAGES.values(), ids=DAMAGES)
def test_a_damaged_image_is_refused_by_its_name(
    damage: Callable[[Path], object], message: str, few: Path, tmp_path: Path
) -> None:
    damaged = few / "class0000" / "1.jpg"
    damage(damaged)
    with pytest.raises(UserError, match=re.escape(message)) as caught:
        evaluate([("net", Colour([0] * CLASSES))], find_images(few), [SMALL["centre"]], device="cpu")
    line = str(caught.value)
    assert line.startswith(f"{damaged} ")
    assert "--skip-corrupt" in line
    assert "\n" not in line
    assert line.count(str(damaged)) == 1


EPS = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 64 64\n%%EndComments\n(%pipe%touch ran) (w) file\nshowpage\n%%EOF\n"


@pytest.mark.fault("file from a stranger")
@pytest.mark.parametrize("suffix", ["JPEG", "jpg", "png", "tif"])
def test_no_program_is_started_for_an_image_whatever_it_is_called(
    suffix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[object] = []

    def start(command: object, *_: object, **__: object) -> None:
        started.append(command)
        raise OSError("it was started")

    (tmp_path / f"eps.{suffix}").write_bytes(EPS)
    for name in ("check_call", "check_output", "run", "call", "Popen"):
        monkeypatch.setattr(subprocess, name, start)
    monkeypatch.setattr(EpsImagePlugin, "gs_binary", "gs")  # as if Ghostscript were installed
    with pytest.raises(UserError, match=r"cannot be read as an image \(its format is unknown\)"):
        read_image(tmp_path / f"eps.{suffix}")
    assert not started
    with pytest.raises(OSError, match="it was started"), Image.open(tmp_path / f"eps.{suffix}") as image:
        image.load()
    assert started, "this file would not have started anything"


@pytest.mark.filterwarnings("ignore:Image size")
@pytest.mark.fault("bad image")
def test_damaged_images_are_left_out_on_request_and_all_named(few: Path) -> None:
    net = ("net", Colour([1] + [0] * (CLASSES - 1)))  # says the first class of every image
    for label, (damage, _) in enumerate(DAMAGES.values(), start=1):
        picture((90, 80), label).save(path := few / f"class{label:04}" / "bad.jpg")
        damage(path)
    picture((90, 80), 0).save(few / "class0009" / "good.png")
    chosen = [SMALL["centre"], SMALL["multi-scale"]]
    for result in evaluate([net], find_images(few), chosen, device="cpu", skip_corrupt=True):
        assert result.skipped == tuple(f"class{label:04}/bad.jpg" for label in range(1, len(DAMAGES) + 1))
        assert (result.images, result.top1_error) == (4, 25)


def test_a_folder_of_damaged_images_alone_is_refused(few: Path) -> None:
    for path in few.rglob("*.jpg"):
        path.write_text("no image")
    with pytest.raises(UserError, match=r"none of the 3 images in .*images can be read"):
        net = ("net", Colour([0] * CLASSES))
        evaluate([net], find_images(few), [SMALL["centre"]], device="cpu", skip_corrupt=True)


@pytest.mark.parametrize("num_images", [1, IMAGES_AT_ONCE, 2 * IMAGES_AT_ONCE + 1])
def test_every_image_counts_once_however_many_there_are(num_images: int, tmp_path: Path) -> None:
    folder = in_classes(tmp_path, 7)
    for number in range(num_images):
        picture((9, 9), number).save(folder / f"class{number % 7:04}" / f"{number}.png")
    said: list[str] = []
    (result,) = evaluate(
        [("net", Colour([0, 1, 2, 3, 4, 5, 6]))], find_images(folder), [SMALL["centre"]], device="cpu", say=said.append
    )
    labels = [number % 7 for number in range(num_images)]
    assert result.images == num_images
    assert result.top1_error == 100 * sum(label != 6 for label in labels) / num_images
    assert result.top5_error == 100 * sum(label < 2 for label in labels) / num_images
    assert said[-1] == f"{num_images} of {num_images} images"


def test_images_are_decoded_once_for_all_and_only_a_few_ahead(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = in_classes(tmp_path, 2)
    num_images = 6 * IMAGES_AT_ONCE
    for number in range(num_images):
        picture((9, 9), number).save(folder / "class0000" / f"{number:03}.png")
    read: list[Path] = []
    monkeypatch.setattr(protocols, "read_image", lambda path: (read.append(path), read_image(path))[1])

    class Watching(Colour):
        ahead: tuple[int, ...] = ()
        seen = 0

        def forward(self, images: Tensor) -> Tensor:
            self.ahead += (len(read) - self.seen,)
            self.seen += len(images)
            return super().forward(images)

    first = Watching([0, 1])
    chosen = [SMALL["centre"], Protocol("other", (80,), 64)]
    results = evaluate([("a", first), ("b", Colour([1, 0]))], find_images(folder), chosen[:1], device="cpu")
    assert len(first.ahead) == 6
    assert max(first.ahead) <= 2 * IMAGES_AT_ONCE
    assert sorted(read) == sorted(find_images(folder).files)
    assert [result.top1_error for result in results[:2]] == [100, 0]

    read.clear()
    results = evaluate([("a", first), ("b", Colour([1, 0]))], find_images(folder), chosen, device="cpu")
    assert len(read) == num_images
    of = [(result.protocol, result.nets) for result in results]
    assert of == list(itertools.product(("centre", "other"), (("a",), ("b",), ("a", "b"))))


# Nets and their weights.


@pytest.fixture(scope="module")
def weights(nets: list[tuple[str, nn.Module]], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the weights of resnet-18-A, as a.safetensors and a.pt."""
    folder = tmp_path_factory.mktemp("weights")
    state = nets[0][1].state_dict()
    safetensors.torch.save_file(state, folder / "a.safetensors")
    torch.save(state, folder / "a.pt")
    return folder


def test_every_net_of_the_list_can_be_built() -> None:
    assert len(NETS) == 5 + 3 * 5 + 5
    assert NETS["plain-34"] == (34, "none")
    assert NETS["resnet-50-B"] == (50, "B")
    assert NETS["torchvision:resnet152"] == (152, None)


@pytest.mark.parametrize("file", ["a.safetensors", "a.pt"])
def test_weights_arrive_whole(file: str, weights: Path, nets: list[tuple[str, nn.Module]]) -> None:
    name, net = load_net(f"resnet-18-A={weights / file}")
    assert name == f"resnet-18-A={weights / file}"
    assert isinstance(net, ImageNetNet)
    expected = nets[0][1].state_dict()
    assert net.state_dict().keys() == expected.keys()
    assert all(torch.equal(value, expected[key]) for key, value in net.state_dict().items())


class Touch:
    """What runs code when it is unpickled: here it would make a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple:
        return Path.touch, (self.path,)


@pytest.mark.fault("file from a stranger")
@pytest.mark.parametrize("write", [torch.save, lambda x, path: path.write_bytes(pickle.dumps(x))], ids=["zip", "bare"])
def test_code_in_a_file_of_weights_is_not_run(write: Callable[[object, Path], object], tmp_path: Path) -> None:
    ran = tmp_path / "ran"
    write({"fc.weight": torch.zeros(2, 2), "x": Touch(ran)}, tmp_path / "evil.pt")
    with pytest.raises(UserError, match="more than weights, such as code, which is not run") as caught:
        load_net(f"resnet-18-A={tmp_path / 'evil.pt'}")
    assert "\n" not in str(caught.value)
    assert not ran.exists()
    if write is torch.save:
        torch.load(tmp_path / "evil.pt", weights_only=False)
        assert ran.exists(), "this file would not have run anything"


def changed(change: Callable[[dict[str, Tensor]], object]) -> Callable[[Path, Path], str]:
    """Weights of resnet-18-A with a change, in a file."""

    def write(source: Path, folder: Path) -> str:
        torch.save(change(safetensors.torch.load_file(source / "a.safetensors")), folder / "b.pt")
        return f"resnet-18-A={folder / 'b.pt'}"

    return write


def cut_short(source: Path, folder: Path, file: str) -> str:
    (folder / file).write_bytes((source / file).read_bytes()[:5000])
    return f"resnet-18-A={folder / file}"


BAD_NETS: dict[str, tuple[Callable[[Path, Path], str], str]] = {
    "unknown": (lambda *_: "resnet-18=a.pt", "no net is called 'resnet-18'; did you mean resnet-18-"),
    "far-off": (lambda *_: "vgg=a.pt", "no net is called 'vgg'; choose one of plain-18"),
    "typo of torchvision's": (lambda *_: "torchvision:resnet5", "did you mean torchvision:resnet50"),
    "without weights": (lambda *_: "resnet-50-B", "net resnet-50-B needs weights; write resnet-50-B=FILE"),
    "missing file": (lambda _, f: f"resnet-18-A={f}/absent.pt", r"absent.pt cannot be read \(No such file"),
    "missing safetensors": (lambda _, f: f"resnet-18-A={f}/a.safetensors", r"a.safetensors cannot be read \(No such"),
    "a folder": (lambda _, f: f"resnet-18-A={f}", "cannot be read \\(Is a directory"),
    "cut short": (lambda s, f: cut_short(s, f, "a.pt"), "a.pt is damaged, or holds more than weights"),
    "cut safetensors": (lambda s, f: cut_short(s, f, "a.safetensors"), "a.safetensors is damaged, or holds more"),
    "a checkpoint": (changed(lambda s: {"state_dict": s, "epoch": 90}), "something else than weights by name"),
    "a list": (changed(lambda s: list(s.values())), "something else than weights by name"),
    "no ResNet's": (changed(lambda s: {"classifier.weight": s["fc.weight"]}), "not of a ResNet: it has no matrix fc"),
    "option B's": (lambda s, f: f"resnet-18-B={s / 'a.pt'}", r"resnet-18-B: layer2.0.downsample.0.weight is absent"),
    "a deeper net's": (lambda s, f: f"resnet-34-A={s / 'a.pt'}", "resnet-34-A: layer1.2.conv1.weight is absent"),
    "a bottleneck's": (lambda s, f: f"resnet-50-B={s / 'a.pt'}", "resnet-50-B: layer1.0.conv1.weight is .64, 64, 3, 3"),
    "one weight too many": (changed(lambda s: s | {"x": torch.zeros(1)}), r"x is \(1,\) and should be absent"),
    "one weight too few": (
        changed(lambda s: {key: value for key, value in s.items() if key != "bn1.bias"}),
        r"bn1.bias is absent and should be \(64,\)",
    ),
}


@pytest.mark.fault("unknown name")
@pytest.mark.parametrize(("spoil", "message"), BAD_NETS.values(), ids=BAD_NETS)
def test_a_net_that_cannot_be_had_is_refused_in_one_line(
    spoil: Callable[[Path, Path], str], message: str, weights: Path, tmp_path: Path
) -> None:
    text = spoil(weights, tmp_path)
    with pytest.raises(UserError, match=message) as caught:
        load_net(text)
    assert "\n" not in str(caught.value)


def test_a_net_of_other_classes_is_refused(few: Path) -> None:
    images = find_images(few)
    with pytest.raises(UserError, match=r"net b has 3 classes and .*images has 12 class folders; take the images"):
        evaluate([("a", Colour([0] * CLASSES)), ("b", Colour([0] * 3))], images, [SMALL["centre"]], device="cpu")


@pytest.mark.fault("loss that is not finite")
@pytest.mark.parametrize("value", [torch.nan, torch.inf])
def test_weights_that_are_not_numbers_are_noticed_and_the_net_named(value: float, few: Path) -> None:
    members = [("good", Colour([0] * CLASSES)), ("bad", Colour([0] * CLASSES, value))]
    with pytest.raises(UserError, match="scores of net bad are not numbers: its weights are damaged") as caught:
        evaluate(members, find_images(few), [SMALL["centre"]], device="cpu")
    assert "\n" not in str(caught.value)


def offline(*_: object, **__: object) -> None:
    raise URLError("no network here")


def torchvision_file(depth: int, folder: Path) -> nn.Module:
    """Random weights under the name of torchvision's, without the counters that old files do not have."""
    torch.manual_seed(depth)
    net = getattr(torchvision.models, f"resnet{depth}")(num_classes=CLASSES).eval()
    state = {key: value for key, value in net.state_dict().items() if not key.endswith("num_batches_tracked")}
    url = torchvision.models.get_model_weights(f"resnet{depth}").IMAGENET1K_V1.url
    folder.mkdir(parents=True, exist_ok=True)
    torch.save(state, folder / url.rpartition("/")[2])
    return net


def test_torchvisions_weights_go_into_torchvisions_net_and_are_not_downloaded_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a download was attempted")

    monkeypatch.setattr(torch.hub, "download_url_to_file", refuse)
    theirs = torchvision_file(50, tmp_path)
    name, net = load_net("torchvision:resnet50", tmp_path)
    assert name == "torchvision:resnet50"
    assert net.layer2[0].conv2.stride == (2, 2), "the paper's has it in the first layer of the block"
    with torch.inference_mode():
        view = torch.randn(1, 3, 64, 64)
        assert torch.equal(net.eval()(view), theirs(view))


def test_torchvisions_own_folder_is_looked_into_by_default(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.hub, "urlopen", offline)
    monkeypatch.setattr(torch.hub, "_hub_dir", str(tmp_path))
    theirs = torchvision_file(18, tmp_path / "checkpoints")
    _, net = load_net("torchvision:resnet18")
    assert torch.equal(net.fc.weight, theirs.fc.weight)


def test_without_network_the_line_says_where_to_put_the_weights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.hub, "urlopen", offline)
    with pytest.raises(UserError, match=r"resnet50-\w+\.pth could not be downloaded \(.*no network here") as caught:
        load_net("torchvision:resnet50", tmp_path / "weights")
    assert str(caught.value).endswith(f"put it into {tmp_path / 'weights'}")
    assert "\n" not in str(caught.value)
    assert not list((tmp_path / "weights").iterdir())


# The table and the command.


def result(net: str, protocol: str, *, classes: int = 1000) -> Result:
    return Result(protocol, tuple(net.split()), classes, 50000, (), 24.0, 7.125)


PUBLISHED = {
    ("torchvision:resnet50", "10-crop"): (3, "ResNet-50"),
    ("torchvision:resnet50", "multi-scale"): (4, "ResNet-50"),
    ("torchvision:resnet34", "10-crop"): (3, "ResNet-34 B"),
    ("torchvision:resnet152=mine.pt", "multi-scale"): (4, "ResNet-152"),
    ("resnet-101-B=a.pt", "10-crop"): (3, "ResNet-101"),
    ("resnet-34-C=a.pt", "multi-scale"): (4, "ResNet-34 C"),
    ("plain-34=a.pt", "10-crop"): (3, "plain-34"),
}


@pytest.mark.parametrize(("net", "protocol"), PUBLISHED)
def test_the_papers_row_stands_beside_a_measured_error(net: str, protocol: str) -> None:
    number, row = PUBLISHED[net, protocol]
    (cells,) = tables.evaluation([result(net, protocol)]).to_dict("records")
    top1, top5 = paper_table(number)[row]
    assert cells.pop("published (%)") == f"{top1:.2f} / {top5:.2f} (Table {number})"
    assert list(cells.values()) == [net, protocol, "50,000", "24.00 / 7.12"]


def test_nets_of_table_2_and_torchvisions_own_numbers() -> None:
    rows = [result("plain-18=a.pt", "10-crop"), result("torchvision:resnet50", "centre")]
    top1, top5 = (100 - accuracy for accuracy in paper()["torchvision_S9_V1"][50][:2])
    assert list(tables.evaluation(rows)["published (%)"]) == [
        f"{paper_table(2)['plain18']:.2f} / – (Table 2)",
        f"{top1:.2f} / {top5:.2f} (torchvision's page)",
    ]


@pytest.mark.parametrize(
    "other",
    [
        result("torchvision:resnet50", "10-crop", classes=10),
        result("torchvision:resnet50 torchvision:resnet101", "10-crop"),
        result("torchvision:resnet18", "10-crop"),
        result("torchvision:resnet18=mine.pt", "centre"),
        result("resnet-50-A=a.pt", "10-crop"),
        result("plain-34=a.pt", "multi-scale"),
        result("resnet-50-B=a.pt", "centre"),
    ],
    ids=str,
)
def test_what_nobody_published_has_nothing_beside_it(other: Result) -> None:
    assert list(tables.evaluation([other])["published (%)"]) == [""]


@pytest.fixture
def command(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """Runs `evaluate` in this process: status, what went to stdout, what went to stderr."""

    def call(*arguments: object) -> tuple[int, str, str]:
        try:
            status = main(["evaluate", *map(str, arguments)])
        except SystemExit as left:
            status = left.code
        return status, *capsys.readouterr()

    return call


def test_the_command_prints_a_table_and_the_same_in_json(
    few: Path,
    weights: Path,
    tmp_path: Path,
    command: Callable[..., tuple[int, str, str]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(torch.hub, "urlopen", offline)
    monkeypatch.setattr(protocols, "PROTOCOLS", SMALL)
    torchvision_file(18, tmp_path / "vision")
    (few / "class0004" / "bad.jpg").write_text("no image")
    own = f"resnet-18-A={weights / 'a.pt'}"
    arguments = [few, "--net", own, "--net", "torchvision:resnet18", "--weights", tmp_path / "vision"]
    arguments += ["--protocol", "all", "--skip-corrupt", "--device", "cpu"]
    status, out, _ = command(*arguments, "--json")
    assert status == 0
    rows = json.loads(out)
    assert [row["protocol"] for row in rows] == [name for name in SMALL for _ in range(3)]
    assert [row["nets"] for row in rows[:3]] == [[own], ["torchvision:resnet18"], [own, "torchvision:resnet18"]]
    for row in rows:
        assert (row["images"], row["classes"], row["skipped"]) == (3, CLASSES, ["class0004/bad.jpg"])

    status, out, err = command(*arguments)
    assert status == 0
    assert err.splitlines()[-1] == "3 of 4 images"
    lines = [re.split(r"  +", line) for line in out.splitlines()]
    names = [own, "torchvision:resnet18", "all 2, averaged"]
    for cells, name, row in zip(lines[1:10], names * 3, rows, strict=True):
        errors = f"{row['top1_error']:.2f} / {row['top5_error']:.2f}"
        assert cells == [name, row["protocol"], "3", errors]
    assert "stride in the 3x3 layer" in out
    assert out.splitlines()[-1] == "left out, since they cannot be read: class0004/bad.jpg"


def test_without_torchvisions_nets_nothing_is_said_of_them(
    few: Path, weights: Path, command: Callable[..., tuple[int, str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(protocols, "PROTOCOLS", SMALL)
    status, out, _ = command(few, "--net", f"resnet-18-A={weights / 'a.pt'}", "--device", "cpu")
    assert status == 0
    assert len(out.splitlines()) == 2
    assert "10-crop" in out, "the protocol of the paper's comparisons is the one that is not asked for"


MISTAKES = {
    "no net": ("IMAGES", "the following arguments are required: --net"),
    "no folder": ("--net torchvision:resnet50", "the following arguments are required: folder"),
    "unknown folder": ("nowhere --net torchvision:resnet50", "nowhere is no folder; name one"),
    "unknown protocol": ("IMAGES --net torchvision:resnet50 --protocol 10crop", "did you mean 10-crop?"),
    "far-off protocol": ("IMAGES --net x --protocol y", "choose one of centre, 10-crop, multi-scale, all"),
    "unknown net": ("IMAGES --net resnet-18", "no net is called 'resnet-18'"),
    "missing weights": ("IMAGES --net resnet-18-A=nowhere.pt", "nowhere.pt cannot be read"),
    "no network": ("IMAGES --net torchvision:resnet18 --weights IMAGES/..", "could not be downloaded"),
    "unknown device": ("IMAGES --net resnet-18-A=WEIGHTS/a.pt --device gpu", "device 'gpu' cannot be used here"),
    "damaged image": ("IMAGES --net resnet-18-A=WEIGHTS/a.pt --device cpu", "bad.jpg cannot be read as an image"),
}


@pytest.mark.parametrize(("arguments", "message"), MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_takes_one_line_and_status_2(
    arguments: str,
    message: str,
    few: Path,
    weights: Path,
    command: Callable[..., tuple[int, str, str]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(torch.hub, "urlopen", offline)
    (few / "class0004" / "bad.jpg").write_text("no image")
    status, out, err = command(*arguments.replace("IMAGES", str(few)).replace("WEIGHTS", str(weights)).split())
    assert (status, out) == (2, "")
    (line,) = err.splitlines()
    assert message in line


def test_the_help_explains_every_option(command: Callable[..., tuple[int, str, str]]) -> None:
    status, out, err = command("--help")
    assert (status, err) == (0, "")
    for name in (*PROTOCOLS, "all", "folder", "--net", "--weights", "--skip-corrupt", "--device", "--json"):
        assert name in out
    for line in out.partition("options:")[2].splitlines():
        assert not re.fullmatch(r" +--?\w[\w-]*( \w)?", line), f"an option without explanation: {line}"


def test_extensions_are_torchvisions() -> None:
    assert {".jpeg", ".jpg", ".png"} < EXTENSIONS
