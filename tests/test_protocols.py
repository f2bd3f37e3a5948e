"""The paper's ways of testing, against a slow and direct implementation; what may be wrong with images or weights."""

import io
import json
import os
import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch
from PIL import Image
from torch import Tensor, nn

from resnet_lib import protocols, tables
from resnet_lib.cli import main
from resnet_lib.errors import UserError
from resnet_lib.models import ImageNetNet, initialize
from resnet_lib.protocols import MEAN, PROTOCOLS, STD, Protocol, evaluate, find_images, load_net, read_weights, scores
from resnet_lib.torchvision_compat import torchvision

CLASSES = 7
SHAPES = [(40, 60), (75, 50), (33, 33), (100, 44), (31, 90), (64, 64), (50, 49)]  # height, width
SMALL = {  # the paper's protocols at a seventh of their size
    "centre": Protocol("centre", (37,), 32),
    "10-crop": Protocol("10-crop", (37,), 32, corners=True, mirror=True),
    "multi-scale": Protocol("multi-scale", (32, 37, 55, 69, 91), None, mirror=True),
}


def a_net(seed: int, num_classes: int = CLASSES, shortcut: str = "A") -> nn.Module:
    """A net with random weights and statistics, so that scores differ between views."""
    net = ImageNetNet(18, shortcut, num_classes)
    initialize(net, seed)
    generator = torch.Generator().manual_seed(seed)
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean += 0.3 * torch.randn(module.running_mean.shape, generator=generator)
            module.running_var *= 1 + torch.rand(module.running_var.shape, generator=generator)
    return net.eval()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One image for each class, of smooth random colours, in several shapes."""
    path = tmp_path_factory.mktemp("val")
    generator = np.random.default_rng(0)
    for label, (height, width) in enumerate(SHAPES):
        (path / f"n{label}").mkdir()
        coarse = Image.fromarray(generator.integers(0, 256, (6, 6, 3), dtype=np.uint8))
        coarse.resize((width, height)).save(path / f"n{label}" / "0.JPEG", quality=95)
    return path


# Against a direct implementation: one view at a time, in the order of the words of sections 3.4 and 4.1.


def resized(path: Path, side: int) -> Image.Image:
    image = Image.open(path).convert("RGB")
    size = int(image.width * side / min(image.size)), int(image.height * side / min(image.size))
    return image.resize(size, Image.Resampling.BILINEAR)


def normalised(image: Image.Image) -> Tensor:
    pixels = torch.tensor(np.array(image) / 255, dtype=torch.float32).permute(2, 0, 1)
    return ((pixels - torch.tensor(MEAN)[:, None, None]) / torch.tensor(STD)[:, None, None])[None]


def mirrored(image: Image.Image) -> Image.Image:
    return image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)


def slow_centre(net: nn.Module, path: Path) -> Tensor:
    image = resized(path, 37)
    left, top = round((image.width - 32) / 2), round((image.height - 32) / 2)
    return net(normalised(image.crop((left, top, left + 32, top + 32)))).softmax(1)[0]


def slow_ten_crop(net: nn.Module, path: Path) -> Tensor:
    image = resized(path, 37)
    lefts = (0, image.width - 32, 0, image.width - 32, round((image.width - 32) / 2))
    tops = (0, 0, image.height - 32, image.height - 32, round((image.height - 32) / 2))
    total = torch.zeros(CLASSES)
    for left, top in zip(lefts, tops, strict=True):
        crop = image.crop((left, top, left + 32, top + 32))
        for view in (crop, mirrored(crop)):
            total += net(normalised(view)).softmax(1)[0]
    return total / 10


def slow_multi_scale(net: nn.Module, path: Path) -> Tensor:
    """The last layer as a 1x1 convolution at every position, as the words "fully convolutional" say."""
    total = torch.zeros(CLASSES)
    for side in (32, 37, 55, 69, 91):
        for view in (resized(path, side), mirrored(resized(path, side))):
            x = torch.relu(net.bn1(net.conv1(normalised(view))))
            x = nn.functional.max_pool2d(x, 3, 2, 1)
            for stage in net.stages:
                x = stage(x)
            map_of_scores = nn.functional.conv2d(x, net.fc.weight[:, :, None, None], net.fc.bias)
            total += map_of_scores[0].flatten(1).mean(1).softmax(0)
    return total / 10


SLOW = {"centre": slow_centre, "10-crop": slow_ten_crop, "multi-scale": slow_multi_scale}


@pytest.mark.parametrize("name", SLOW)
def test_scores_and_errors_are_those_of_a_direct_implementation(name: str, folder: Path) -> None:
    nets = [("first", a_net(0)), ("second", a_net(1))]
    images = find_images(folder)
    expected = []
    with torch.no_grad():
        for _, net in nets:
            expected.append(torch.stack([SLOW[name](net, file) for file in images.files]))
            for file, wanted in zip(images.files, expected[-1], strict=True):
                views = [one_scale[None] for one_scale in SMALL[name].views(protocols.read_image(file))]
                found = scores(net, views)[0]
                assert torch.allclose(found, wanted, atol=2e-4), file
                assert found.sum() == pytest.approx(1, abs=1e-5)
    expected.append((expected[0] + expected[1]) / 2)  # the ensemble
    results = evaluate(nets, images, SMALL[name], device="cpu")
    assert [result.nets for result in results] == [("first",), ("second",), ("first", "second")]
    for result, wanted in zip(results, expected, strict=True):
        order = wanted.argsort(dim=1, descending=True)
        hits = order == torch.arange(CLASSES)[:, None]
        assert result.images == CLASSES
        assert result.top1_error == pytest.approx(100 * (1 - hits[:, 0].float().mean().item()))
        assert result.top5_error == pytest.approx(100 * (1 - hits[:, :5].any(1).float().mean().item()))
    assert len({tuple(wanted.argmax(1).tolist()) for wanted in expected}) > 1  # the nets do not all say the same


def test_the_papers_protocols_have_its_sizes_and_numbers_of_views() -> None:
    image = Image.new("RGB", (500, 375))
    shapes = {name: [tuple(views.shape) for views in protocol.views(image)] for name, protocol in PROTOCOLS.items()}
    assert shapes["centre"] == [(1, 3, 224, 224)]
    assert shapes["10-crop"] == [(10, 3, 224, 224)]
    sides = (224, 256, 384, 480, 640)
    assert shapes["multi-scale"] == [(2, 3, side, side * 500 // 375) for side in sides]


@pytest.mark.parametrize("size", [(500, 375), (333, 500), (257, 256), (300, 1200)])
def test_the_centre_crop_is_torchvisions(size: tuple[int, int]) -> None:
    generator = np.random.default_rng(1)
    image = Image.fromarray(generator.integers(0, 256, (size[1] // 5, size[0] // 5, 3), dtype=np.uint8)).resize(size)
    theirs = torchvision.transforms.CenterCrop(224)(torchvision.transforms.Resize(256)(image))
    assert np.array_equal(PROTOCOLS["centre"].views(image)[0][0].permute(1, 2, 0), np.asarray(theirs))


def test_images_are_tested_whatever_their_batches(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    net, images = ("net", a_net(0)), find_images(folder)
    (whole,) = evaluate([net], images, SMALL["centre"], device="cpu")
    for at_once in (1, 2, 3):
        monkeypatch.setattr(protocols, "VIEWS_AT_ONCE", at_once)
        assert evaluate([net], images, SMALL["centre"], device="cpu") == [whole]


@pytest.mark.parametrize("mode", ["L", "P", "RGBA", "CMYK", "I;16"])
def test_images_of_other_modes_are_tested_as_colour(mode: str, tmp_path: Path) -> None:
    image = Image.new("RGB", (40, 40), (200, 100, 50))
    image = Image.fromarray(np.full((40, 40), 30000, np.uint16)) if mode == "I;16" else image.convert(mode)
    image.save(tmp_path / ("image.jpg" if mode == "CMYK" else "image.png"))
    (path,) = tmp_path.iterdir()
    assert protocols.read_image(path).mode == "RGB"


# What may be wrong.


def complaint(call: Callable[[], object]) -> str:
    with pytest.raises(UserError) as caught:
        call()
    assert "\n" not in str(caught.value)
    return str(caught.value)


def jpeg() -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (50, 50), (9, 99, 199)).save(buffer, "JPEG")
    return buffer.getvalue()


@pytest.mark.parametrize("content", [b"", b"<html>", jpeg()[:400]], ids=["empty", "text", "cut short"])
def test_a_corrupt_image_is_named_and_left_out_only_when_told(content: bytes, folder: Path, tmp_path: Path) -> None:
    for file in find_images(folder).files:
        (tmp_path / file.parent.name).mkdir()
        (tmp_path / file.parent.name / file.name).write_bytes(file.read_bytes())
    corrupt = tmp_path / "n3" / "1.JPEG"
    corrupt.write_bytes(content)
    images, net = find_images(tmp_path), ("net", a_net(0))
    message = complaint(lambda: evaluate([net], images, SMALL["centre"], device="cpu"))
    assert message.startswith(f"{corrupt} cannot be read as an image (")
    (result,) = evaluate([net], images, SMALL["centre"], device="cpu", skip_corrupt=True)
    assert result.skipped == ("n3/1.JPEG",)
    (whole,) = evaluate([net], find_images(folder), SMALL["centre"], device="cpu")
    assert (result.images, result.top1_error, result.top5_error) == (CLASSES, whole.top1_error, whole.top5_error)


def test_a_folder_of_nothing_but_corrupt_images_has_no_error(tmp_path: Path) -> None:
    for label in range(CLASSES):
        (tmp_path / f"n{label}").mkdir()
    (tmp_path / "n0" / "0.JPEG").write_bytes(b"")
    images = find_images(tmp_path)
    call = lambda: evaluate([("net", a_net(0))], images, SMALL["centre"], device="cpu", skip_corrupt=True)  # noqa: E731
    assert complaint(call).startswith("none of the 1 images")


def test_folders_without_images_or_classes_are_refused(tmp_path: Path) -> None:
    assert complaint(lambda: find_images(tmp_path / "x")).startswith(f"{tmp_path / 'x'} is no folder")
    assert "has no class folders" in complaint(lambda: find_images(tmp_path))
    (tmp_path / "n0").mkdir()
    (tmp_path / "n0" / "readme.txt").write_text("no image")
    assert "hold no images" in complaint(lambda: find_images(tmp_path))


def test_a_net_of_other_classes_is_refused(folder: Path) -> None:
    net = ("resnet-18-A=x", a_net(0, num_classes=9))
    message = complaint(lambda: evaluate([net], find_images(folder), SMALL["centre"], device="cpu"))
    assert message.startswith("net resnet-18-A=x has 9 classes and ")
    assert "has 7 class folders" in message


def test_scores_that_are_not_numbers_are_told(folder: Path) -> None:
    net = a_net(0)
    nn.init.constant_(net.fc.bias, float("nan"))
    message = complaint(lambda: evaluate([("net", net)], find_images(folder), SMALL["centre"], device="cpu"))
    assert message.startswith("scores of net are not numbers")


# Weights.


def save(net: nn.Module, path: Path) -> Path:
    if path.suffix == ".safetensors":
        safetensors.torch.save_file({name: value.contiguous() for name, value in net.state_dict().items()}, path)
    else:
        torch.save(net.state_dict(), path)
    return path


@pytest.mark.parametrize("ending", [".safetensors", ".pt"])
@pytest.mark.parametrize("shortcut", ["none", "A", "B", "C"])
def test_weights_come_back_from_either_kind_of_file(shortcut: str, ending: str, tmp_path: Path) -> None:
    net = a_net(3, shortcut=shortcut)
    path = save(net, tmp_path / f"weights{ending}")
    text = f"{'plain-18' if shortcut == 'none' else f'resnet-18-{shortcut}'}={path}"
    name, loaded = load_net(text)
    assert name == text
    assert loaded.state_dict().keys() == net.state_dict().keys()
    assert all(torch.equal(value, loaded.state_dict()[key]) for key, value in net.state_dict().items())


def test_torchvisions_weights_from_a_folder_go_into_torchvisions_net(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("nothing should be downloaded")

    monkeypatch.setattr(torch.hub, "download_url_to_file", refuse)
    theirs = torchvision.models.resnet50(num_classes=5)
    url = torchvision.models.ResNet50_Weights.IMAGENET1K_V1.url
    torch.save(theirs.state_dict(), tmp_path / url.rpartition("/")[2])
    _, net = load_net("torchvision:resnet50", tmp_path)
    images = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        assert torch.equal(net.eval()(images), theirs.eval()(images))
    assert net.layer2[0].conv2.stride == (2, 2)  # in the 3x3, as the weights were trained


def test_without_network_the_message_says_where_to_put_the_weights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise OSError("no route to host\nand more")

    monkeypatch.setattr(torch.hub, "download_url_to_file", fail)
    message = complaint(lambda: load_net("torchvision:resnet18", tmp_path))
    assert message.endswith(f"could not be downloaded (no route to host); put it into {tmp_path}")


class Evil:
    """Unpickled carelessly, it leaves a file behind."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple:
        return os.mkdir, (str(self.path),)


def test_code_in_a_file_of_weights_is_not_run(tmp_path: Path) -> None:
    path, trace = tmp_path / "weights.pt", tmp_path / "trace"
    for write in (
        lambda: torch.save({"fc.weight": Evil(trace)}, path),
        lambda: path.write_bytes(pickle.dumps(Evil(trace), protocol=2)),
    ):
        write()
        assert "is damaged, or holds more than weights" in complaint(lambda: load_net(f"resnet-18-A={path}"))
        assert not trace.exists()


def test_what_is_no_net_or_not_its_weights_is_refused(tmp_path: Path) -> None:
    right = save(a_net(0), tmp_path / "a.safetensors")
    cut = tmp_path / "cut.safetensors"
    cut.write_bytes(right.read_bytes()[:1000])
    torch.save([1, 2], tmp_path / "list.pt")
    torch.save({"x": torch.zeros(1)}, tmp_path / "other.pt")
    cases = {
        f"resnet-18-D={right}": "no net is called 'resnet-18-D'; did you mean resnet-18-",
        "torchvision:resnet51": "no net is called 'torchvision:resnet51'; did you mean torchvision:resnet",
        "resnet-18-A": "net resnet-18-A needs weights; write resnet-18-A=FILE",
        "resnet-18-A=nowhere.pt": "nowhere.pt cannot be read (No such file or directory)",
        "resnet-18-A=nowhere.safetensors": "nowhere.safetensors cannot be read (",
        f"resnet-34-A={right}": f"{right} is not of a resnet-34-A: layer1.2.conv1.weight is absent and should be",
        f"resnet-18-B={right}": f"{right} is not of a resnet-18-B: layer2.0.downsample.0.weight is absent",
        f"resnet-18-A={cut}": f"{cut} is damaged, or holds more than weights",
        f"resnet-18-A={tmp_path / 'list.pt'}": "holds something else than weights by name",
        f"resnet-18-A={tmp_path / 'other.pt'}": "is not of a ResNet: it has no matrix fc.weight",
    }
    for text, message in cases.items():
        assert message in complaint(lambda text=text: load_net(text)), text


def test_weights_are_read_by_name(tmp_path: Path) -> None:
    net = a_net(0)
    assert read_weights(save(net, tmp_path / "x.pt")).keys() == net.state_dict().keys()


# The command.


def test_the_command_prints_every_net_the_ensemble_and_what_was_skipped(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    images = tmp_path / "val"
    for file in find_images(folder).files:
        (images / file.parent.name).mkdir(parents=True)
        (images / file.parent.name / file.name).write_bytes(file.read_bytes())
    (images / "n2" / "z.JPEG").write_bytes(b"")
    names = [f"resnet-18-{option}={save(a_net(0, shortcut=option), tmp_path / f'{option}.pt')}" for option in "AB"]
    command = ["evaluate", str(images), "--net", names[0], "--net", names[1], "--protocol", "centre", "--device", "cpu"]
    assert main(command) == 2
    assert "z.JPEG cannot be read as an image" in capsys.readouterr().err
    assert main([*command, "--skip-corrupt", "--json"]) == 0
    results = json.loads(capsys.readouterr().out)
    assert [result["nets"] for result in results] == [names[:1], names[1:], names]
    assert all(result["images"] == CLASSES and result["skipped"] == ["n2/z.JPEG"] for result in results)
    assert main([*command, "--skip-corrupt"]) == 0
    printed = capsys.readouterr()
    assert "skipped: n2/z.JPEG" in printed.err
    assert " + ".join(names) in printed.out
    assert f"{CLASSES}, 1 skipped" in printed.out
    assert main([*command[:-4], "--protocol", "12-crop"]) == 2
    assert "no protocol is called '12-crop'; did you mean 10-crop?" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("net", "protocol", "printed"),
    [
        ("torchvision:resnet50", "10-crop", "22.85 / 6.71"),
        ("torchvision:resnet50", "multi-scale", "20.74 / 5.25"),
        ("torchvision:resnet34", "10-crop", "24.52 / 7.46"),
        ("torchvision:resnet18", "10-crop", ""),  # option B, which the paper has no row of
        ("resnet-34-A=x.pt", "10-crop", "25.03 / 7.76"),
        ("resnet-34-A=x.pt", "centre", "≈ 28.2"),
        ("resnet-34-C=x.pt", "multi-scale", "21.53 / 5.60"),
        ("resnet-18-A=x.pt", "10-crop", "27.88"),
        ("plain-18=x.pt", "10-crop", "27.94"),
        ("plain-34=x.pt", "centre", "≈ 32.4"),
        ("plain-34=x.pt", "multi-scale", ""),
        ("resnet-152-B=x.pt", "multi-scale", "19.38 / 4.49"),
        ("resnet-152-A=x.pt", "multi-scale", ""),
        ("plain-50=x.pt", "10-crop", ""),
        ("resnet-50-B=x.pt", "centre", ""),
    ],
)
def test_the_papers_row_stands_beside_the_net(net: str, protocol: str, printed: str) -> None:
    assert tables.paper_errors(net, protocol) == printed
