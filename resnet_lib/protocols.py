"""The paper's ways of testing an ImageNet net (section 3.4, Tables 2 to 5), and weights to test.

A protocol says which views of an image the net sees: crops, mirror images, scales. The scores of an image are the mean
of the **softmax probabilities** over its views, scales and nets, never of the logits. That is how it was done where the
protocols come from: AlexNet averages what its softmax layer says of ten crops, VGG the softmax posteriors of an image
and its mirror image, of all scales, and of an ensemble's nets. The paper itself says that scores are averaged.

Within one fully convolutional view nothing has to be decided: the net's own average pooling and linear layer give the
mean of the logits over all positions, which is how VGG pools its map of class scores.

Pixels in [0, 1] are normalised by torchvision's mean and deviation per channel (`MEAN`, `STD`), as its weights expect.
The paper subtracts a mean per pixel instead, so weights of other origin may do a little worse here.

    images = find_images(Path("imagenet/val"))
    (result,) = evaluate([load_net("torchvision:resnet50")], images, PROTOCOLS["10-crop"])
"""

import http.client
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import safetensors.torch
import torch
from PIL import Image
from torch import Tensor, nn

from resnet_lib.errors import UserError
from resnet_lib.experiments import lookup
from resnet_lib.models import IMAGENET_BLOCKS, ImageNetNet
from resnet_lib.torchvision_compat import torchvision
from resnet_lib.training import Hardware

MEAN = (0.485, 0.456, 0.406)  # red, green, blue; of pixels in [0, 1]
STD = (0.229, 0.224, 0.225)
EXTENSIONS = frozenset(torchvision.datasets.folder.IMG_EXTENSIONS)
IMAGES_READ_AHEAD = 32
VIEWS_AT_ONCE = 64
NETS = {  # name: depth, and shortcut of our net; None for torchvision's architecture
    **{f"plain-{depth}": (depth, "none") for depth in IMAGENET_BLOCKS},
    **{f"resnet-{depth}-{shortcut}": (depth, shortcut) for depth in IMAGENET_BLOCKS for shortcut in "ABC"},
    **{f"torchvision:resnet{depth}": (depth, None) for depth in IMAGENET_BLOCKS},
}

T = TypeVar("T")
NamedNet = tuple[str, nn.Module]


@dataclass(frozen=True)
class Protocol:
    """Which views of an image a net sees.

    Args:
        name: what the result calls it.
        scales: lengths in pixels to which the shorter side of the image is resized, one after the other.
        crop: side of the square crops in pixels; None shows the whole resized image, and the net, which averages over
            all positions, is then applied convolutionally.
        corners: four crops in the corners of the resized image, beside the one in the centre. (AlexNet cut the central
            square first. Corners of the whole image are what torchvision's TenCrop takes.)
        mirror: also the mirror image of each view.

    Raises:
        ValueError: there is no scale, or a crop is larger than the resized image.
    """

    name: str
    scales: tuple[int, ...]
    crop: int | None
    corners: bool = False
    mirror: bool = False

    def __post_init__(self) -> None:
        if not self.scales or min(self.scales) < (self.crop or 1):
            raise ValueError(f"scales are {self.scales} and the crop is {self.crop}; no scale may be below the crop")

    def views(self, image: Image.Image) -> list[Tensor]:
        """All views of an image, for each scale as bytes (V, 3, H, W): one, two or ten of them."""
        return [self._views_at_one_scale(resize(image, scale)) for scale in self.scales]

    def _views_at_one_scale(self, image: Image.Image) -> Tensor:
        pixels = torchvision.transforms.functional.pil_to_tensor(image)  # (3, H, W)
        if self.crop is None:
            views = pixels[None]
        else:
            bottom, right = pixels.shape[1] - self.crop, pixels.shape[2] - self.crop
            places = [(round(bottom / 2), round(right / 2))]
            if self.corners:
                places += [(0, 0), (0, right), (bottom, 0), (bottom, right)]
            views = torch.stack([pixels[:, y : y + self.crop, x : x + self.crop] for y, x in places])
        return torch.cat([views, views.flip(3)]) if self.mirror else views

    @property
    def images_at_once(self) -> int:
        """How many images share a batch. Whole images differ in size, so each goes by itself, with its mirror image."""
        num_views = (5 if self.corners else 1) * (2 if self.mirror else 1)
        return 1 if self.crop is None else max(1, VIEWS_AT_ONCE // num_views)


PROTOCOLS = {
    protocol.name: protocol
    for protocol in (
        Protocol("centre", (256,), 224),  # Figure 4
        Protocol("10-crop", (256,), 224, corners=True, mirror=True),  # Tables 2 and 3
        Protocol("multi-scale", (224, 256, 384, 480, 640), None, mirror=True),  # Tables 4 and 5
    )
}


@dataclass(frozen=True)
class Images:
    """A folder of images in torchvision's ImageFolder layout: one folder per class.

    A label is the position of the class folder's name in sorted order: nets must have been trained with that order.
    """

    folder: Path
    classes: tuple[str, ...]
    files: tuple[Path, ...]
    labels: tuple[int, ...]


@dataclass(frozen=True)
class Result:
    """Errors of a net, or of several whose scores are averaged, by one protocol.

    `images` is the number tested. `skipped` names the files that could not be read and do not count. The errors are in
    percent; with fewer than five classes the top-5 error is 0.
    """

    protocol: str
    nets: tuple[str, ...]
    images: int
    skipped: tuple[str, ...]
    top1_error: float
    top5_error: float


def find_images(folder: Path) -> Images:
    """Lists the images below each class folder. Hidden folders and files that are no images by their name are left out.

    Raises:
        UserError: there is no such folder, it has no class folders, or no images are in them.
    """
    if not folder.is_dir():
        raise UserError(f"{folder} is no folder; name one that has a folder of images for each class")
    classes = sorted(path.name for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))
    if not classes:
        raise UserError(f"{folder} has no class folders; put the images of each class into a folder of its own")
    files, labels = [], []
    for label, name in enumerate(classes):
        found = sorted(path for path in (folder / name).rglob("*") if path.suffix.lower() in EXTENSIONS)
        files += found
        labels += [label] * len(found)
    if not files:
        raise UserError(f"the class folders of {folder} hold no images ({', '.join(sorted(EXTENSIONS))})")
    return Images(folder, tuple(classes), tuple(files), tuple(labels))


def read_image(path: Path) -> Image.Image:
    """An image file in RGB; grey values are repeated, CMYK is converted, transparency is dropped.

    Raises:
        UserError: the file is no image, is truncated, or cannot be opened.
    """
    try:
        with Image.open(path) as image:
            return image.convert("RGB")
    except Exception as error:  # what decoders raise on damaged files has no common type
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise UserError(f"{path} cannot be read as an image ({reason}); replace it, or skip corrupt images") from None


def resize(image: Image.Image, shorter: int) -> Image.Image:
    """Resizes the shorter side to `shorter` pixels, bilinearly; the longer one in proportion, rounded down."""
    width, height = image.size
    short = min(width, height)
    return image.resize((shorter * width // short, shorter * height // short), Image.Resampling.BILINEAR)


@torch.inference_mode()
def scores(net: nn.Module, views: Sequence[Tensor]) -> Tensor:
    """Class probabilities, averaged over scales and views (sections 3.4 and 4.1).

    Args:
        net: in evaluation mode.
        views: for each scale the views of N images as bytes (N, V, 3, H, W) in [0, 255], on any device.

    Returns:
        (N, num_classes) on the net's device; each row sums to 1.
    """
    device = next(net.parameters()).device
    mean, std = (torch.tensor(values, device=device)[:, None, None] for values in (MEAN, STD))
    total = 0
    for one_scale in views:
        batch = (one_scale.to(device).flatten(0, 1) / 255 - mean) / std  # (N * V, 3, H, W)
        total = total + net(batch).softmax(dim=1).unflatten(0, one_scale.shape[:2]).mean(dim=1)  # (N, num_classes)
    return total / len(views)


def evaluate(
    nets: Sequence[NamedNet],
    images: Images,
    protocol: Protocol,
    *,
    device: str | None = None,
    skip_corrupt: bool = False,
    say: Callable[[str], object] = lambda line: None,
) -> list[Result]:
    """Top-1 and top-5 error of each net, and of all together if there are several, in one pass over the images.

    Together they are an ensemble as in Table 5: their scores are averaged. The arithmetic is fp32. The nets end on the
    device, in evaluation mode.

    Args:
        nets: names and nets with a last layer `fc`.
        images: from `find_images`.
        protocol: one of `PROTOCOLS`, or another.
        device: CUDA if there is any, else the CPU.
        skip_corrupt: leave out images that cannot be read; the results name them.
        say: is told every thousand images how far it is.

    Raises:
        UserError: a net's classes are not as many as the folder's, an image cannot be read, or scores are not numbers.
    """
    chosen = Hardware.choose(device, precision="fp32").device
    for name, net in nets:
        if net.fc.out_features != len(images.classes):
            raise UserError(
                f"net {name} has {net.fc.out_features} classes and {images.folder} has {len(images.classes)} class "
                "folders; take the images that the net was trained for"
            )
        net.to(chosen).eval()

    names = [(name,) for name, _ in nets]
    names += [tuple(name for name, _ in nets)] if len(nets) > 1 else []  # the ensemble
    wrong = [[0, 0] for _ in names]  # top-1, top-5
    skipped: list[str] = []
    tested = 0
    for views, labels in _batches(images, protocol, skipped if skip_corrupt else None):
        of_each = [scores(net, views) for _, net in nets]
        for (name, _), probabilities in zip(nets, of_each, strict=True):
            if not probabilities.isfinite().all():
                raise UserError(f"scores of {name} are not numbers; its weights are damaged, or its training diverged")
        of_all = [torch.stack(of_each).mean(dim=0)] if len(nets) > 1 else []
        for counts, probabilities in zip(wrong, of_each + of_all, strict=True):
            best = probabilities.topk(min(5, len(images.classes))).indices.cpu()  # (N, 5), the best one first
            hits = best == labels[:, None]
            counts[0] += int((~hits[:, 0]).sum())
            counts[1] += int((~hits.any(dim=1)).sum())
        tested += len(labels)
        if tested // 1000 > (tested - len(labels)) // 1000:
            say(f"{protocol.name}: {tested} of {len(images.files)} images")
    if not tested:
        raise UserError(f"none of the {len(skipped)} images in {images.folder} can be read; replace them")
    return [
        Result(protocol.name, members, tested, tuple(skipped), 100 * top1 / tested, 100 * top5 / tested)
        for members, (top1, top5) in zip(names, wrong, strict=True)
    ]


def _batches(images: Images, protocol: Protocol, skipped: list[str] | None) -> Iterator[tuple[list[Tensor], Tensor]]:
    """Views for each scale, (N, V, 3, H, W), and labels (N,). What cannot be read is named in `skipped`, or raised."""

    def read(path: Path) -> list[Tensor] | None:
        try:
            return protocol.views(read_image(path))
        except UserError:
            if skipped is None:
                raise
            return None

    batch: list[tuple[list[Tensor], int]] = []

    def stacked() -> tuple[list[Tensor], Tensor]:
        views, labels = zip(*batch, strict=True)
        return [torch.stack(same_scale) for same_scale in zip(*views, strict=True)], torch.tensor(labels)

    for path, label, views in zip(images.files, images.labels, _read_ahead(read, images.files), strict=True):
        if views is None:
            skipped.append(path.relative_to(images.folder).as_posix())
        else:
            batch.append((views, label))
        if len(batch) == protocol.images_at_once:
            yield stacked()
            batch.clear()
    if batch:
        yield stacked()


def _read_ahead(read: Callable[[Path], T], paths: Sequence[Path]) -> Iterator[T]:
    """`map(read, paths)`, some paths ahead: the nets compute meanwhile, and threads decode outside Python's lock."""
    pending: deque[Future[T]] = deque()
    with ThreadPoolExecutor() as pool:
        for path in paths:
            pending.append(pool.submit(read, path))
            if len(pending) == IMAGES_READ_AHEAD:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()


def load_net(text: str, folder: Path | None = None) -> NamedNet:
    """A net of `NETS` with its weights from "NET=FILE", or with torchvision's own weights from "torchvision:resnet50".

    The name must be right, because a file does not tell it. torchvision's bottlenecks have the stride in the 3x3 layer
    and the paper's (resnet-50-B) in the first 1x1, though the weights of both have the same names and shapes: so
    torchvision's weights go into torchvision's own architecture. Nor does a file tell plain-34 from resnet-34-A.

    Args:
        text: NET=FILE. Without FILE a net of torchvision's gets its IMAGENET1K_V1 weights, whose training is nearest to
            the paper's.
        folder: where those are, or are downloaded to; by default torchvision's own cache.

    Returns:
        The text, which names the net in results, and the net.

    Raises:
        UserError: there is no such net, its file is missing or damaged, or it does not fit; or a download failed.
    """
    name, _, file = text.partition("=")
    depth, shortcut = lookup(NETS, name, "net")
    if not file and shortcut is not None:
        raise UserError(f"net {name} needs weights; write {name}=FILE, a safetensors file or one of torch.save")
    path = Path(file) if file else _fetch(depth, folder)
    weights = read_weights(path)
    last = weights.get("fc.weight")
    if last is None or last.dim() != 2:
        raise UserError(f"{path} is not of a ResNet: it has no matrix fc.weight; save net.state_dict() of a {name}")
    if shortcut is None:
        net = getattr(torchvision.models, f"resnet{depth}")(num_classes=len(last))
    else:
        net = ImageNetNet(depth, shortcut, num_classes=len(last))
    wanted = net.state_dict()
    # A counter that only training uses; old files do not have it.
    weights = {key: value for key, value in wanted.items() if key.endswith("num_batches_tracked")} | weights
    for key in [*wanted, *weights]:
        given, right = (tuple(of[key].shape) if key in of else "absent" for of in (weights, wanted))
        if given != right:
            raise UserError(f"{path} is not of a {name}: {key} is {given} and should be {right}; name the net it is of")
    net.load_state_dict(weights)
    return text, net


def read_weights(path: Path) -> dict[str, Tensor]:
    """Weights by name from a safetensors file, or from one of torch.save, in which nothing but tensors is accepted.

    Raises:
        UserError: the file is missing, damaged, or holds anything else, such as code, which is then not run.
    """
    try:
        if path.suffix == ".safetensors":
            return safetensors.torch.load_file(path)
        weights = torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror or error}); name a file of weights") from None
    except Exception:  # what damaged files raise has no common type, and torch's advice is to run what is in them
        raise UserError(
            f"{path} is damaged, or holds more than weights, such as code, which is not run; save net.state_dict() anew"
        ) from None
    if not isinstance(weights, dict) or not all(isinstance(value, Tensor) for value in weights.values()):
        raise UserError(f"{path} holds something else than weights by name; save net.state_dict() alone")
    return weights


def _fetch(depth: int, folder: Path | None) -> Path:
    """The file of torchvision's weights, downloaded if it is not in the folder yet."""
    url = torchvision.models.get_model_weights(f"resnet{depth}").IMAGENET1K_V1.url
    path = (folder or Path(torch.hub.get_dir()) / "checkpoints") / url.rpartition("/")[2]
    if not path.exists():
        digest = path.stem.rpartition("-")[2]  # torchvision's files carry the beginning of theirs
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            torch.hub.download_url_to_file(url, str(path), digest, progress=False)
        except (OSError, RuntimeError, http.client.HTTPException) as error:
            reason = (str(error) or type(error).__name__).splitlines()[0]
            raise UserError(f"{url} could not be downloaded ({reason}); put it into {path.parent}") from None
    return path
