"""The paper's ways of testing an ImageNet net (section 3.4, Tables 2 to 5), and weights to test.

A protocol says which views of an image the net sees: crops, mirror images, scales. The scores of an image are the mean
of the **softmax probabilities** over its views, scales and nets, never of the logits. That is how it was done where the
protocols come from: AlexNet averages what its softmax layer says of ten crops, VGG the softmax posteriors of an image
and its mirror image, of all scales, and of an ensemble's nets. The paper itself says that scores are averaged.

Within one fully convolutional view nothing has to be decided: the net's own average pooling and linear layer give the
mean of the logits over all positions, which is how VGG pools its map of class scores.

Each image is decoded once, in one way, for all protocols and nets, and forgotten when it is counted.

Pixels in [0, 1] are normalised by torchvision's mean and deviation per channel (`MEAN`, `STD`), as its weights expect.
The paper subtracts a mean per pixel instead, so weights of other origin may do a little worse here.

    images = find_images(Path("imagenet/val"))
    results = evaluate([load_net("torchvision:resnet50")], images, [PROTOCOLS["10-crop"]])
"""

import http.client
import io
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import safetensors.torch
import torch
from PIL import Image, UnidentifiedImageError
from torch import Tensor, nn

from resnet_lib.data.torchvision_compat import torchvision
from resnet_lib.errors import UserError, lookup, reason
from resnet_lib.files import read_regular
from resnet_lib.nets.models import IMAGENET_BLOCKS, ImageNetNet
from resnet_lib.training.hardware import Hardware
from resnet_lib.training.memory import forward
from resnet_lib.training.saved import is_plain, load_saved

MEAN = (0.485, 0.456, 0.406)  # red, green, blue; of pixels in [0, 1]
STD = (0.229, 0.224, 0.225)
EXTENSIONS = frozenset(torchvision.datasets.folder.IMG_EXTENSIONS)
FORMATS = ("JPEG", "PNG", "PPM", "BMP", "TIFF", "WEBP")  # whatever a file is called: Pillow starts programs for others
MOST_BYTES = 1 << 28  # of an image file
MOST_PIXELS = 100_000_000  # several are decoded at once; a file of 300 kB can announce twice as many
MOST_CLASSES = 100_000
MAX_ASPECT = 32  # with 640 pixels on the shorter side a net's first maps then take 2 GB; at 1000 it would be 50
IMAGES_AT_ONCE = 16  # 160 views of ten crops
NETS = {  # name: depth, and shortcut of our net; None for torchvision's architecture
    **{f"plain-{depth}": (depth, "none") for depth in IMAGENET_BLOCKS},
    **{f"resnet-{depth}-{shortcut}": (depth, shortcut) for depth in IMAGENET_BLOCKS for shortcut in "ABC"},
    **{f"torchvision:resnet{depth}": (depth, None) for depth in IMAGENET_BLOCKS},
}

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


PROTOCOLS = {
    protocol.name: protocol
    for protocol in (
        Protocol("centre", (256,), 224),  # Figure 4
        Protocol("10-crop", (256,), 224, corners=True, mirror=True),  # Tables 2 and 3
        # Tables 4 and 5. Mirror images belong to the form of VGG's that the paper adopts; it does not mention them.
        Protocol("multi-scale", (224, 256, 384, 480, 640), None, mirror=True),
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
    """Errors by one protocol: of one net, or of several whose scores are averaged.

    `images` is the number tested. `skipped` names the files that could not be read and do not count. The errors are in
    percent; with five classes or fewer the top-5 error is 0.
    """

    protocol: str
    nets: tuple[str, ...]
    classes: int
    images: int
    skipped: tuple[str, ...]
    top1_error: float
    top5_error: float


def find_images(folder: Path) -> Images:
    """Lists the images below each class folder; leaves out what is hidden, and files that are no images by their name.

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
        named = (path for path in (folder / name).rglob("[!.]*") if path.suffix.lower() in EXTENSIONS)
        found = sorted(path for path in named if not path.is_dir())  # a broken link stays: reading it complains
        files += found
        labels += [label] * len(found)
    if not files:
        raise UserError(f"the class folders of {folder} hold no images ({', '.join(sorted(EXTENSIONS))})")
    return Images(folder, tuple(classes), tuple(files), tuple(labels))


def read_image(path: Path) -> Image.Image:
    """An image file in RGB, as torchvision's folders read it: published errors were measured on such pixels.

    Grey values are repeated, palettes and CMYK are converted, transparency is dropped, and an orientation in EXIF is
    not applied.

    Raises:
        UserError: the file is no image, is truncated, or cannot be opened; its grey values have more than 8 bits, which
            the conversion would cut off; it has over `MOST_PIXELS`; or one side is more than `MAX_ASPECT` times the
            other.
    """
    try:
        with Image.open(io.BytesIO(read_regular(path, MOST_BYTES)), formats=FORMATS) as image:
            if image.mode[0] in "IF":  # I;16, I, F
                raise ValueError("its grey values have more than 8 bits")
            if image.width * image.height > MOST_PIXELS:
                raise ValueError(f"it has {image.width} x {image.height} pixels")
            rgb = image.convert("RGB")
    except Exception as error:  # what decoders raise on damaged files has no common type
        why = "its format is unknown" if isinstance(error, UnidentifiedImageError) else reason(error)
        raise UserError(
            f"{path} cannot be read as an image ({why}); replace it; `evaluate --skip-corrupt` leaves such out"
        ) from None
    if max(rgb.size) > MAX_ASPECT * min(rgb.size):
        raise UserError(
            f"{path} is {rgb.width} x {rgb.height} pixels, one side more than {MAX_ASPECT} times the other; cut it; "
            "`evaluate --skip-corrupt` leaves such out"
        )
    return rgb


def resize(image: Image.Image, shorter: int) -> Image.Image:
    """Resizes the shorter side to `shorter` pixels, bilinearly; the longer one in proportion, rounded down."""
    width, height = image.size
    short = min(width, height)
    return image.resize((shorter * width // short, shorter * height // short), Image.Resampling.BILINEAR)


@torch.inference_mode()
def scores(net: nn.Module, views: Sequence[Tensor]) -> Tensor:
    """A net's class probabilities, averaged over scales and views (sections 3.4 and 4.1).

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
        total = total + forward(net, batch).softmax(dim=1).unflatten(0, one_scale.shape[:2]).mean(
            dim=1
        )  # (N, num_classes)
    return total / len(views)


def evaluate(
    nets: Sequence[NamedNet],
    images: Images,
    protocols: Sequence[Protocol],
    *,
    device: str | None = None,
    skip_corrupt: bool = False,
    say: Callable[[str], object] = lambda line: None,
) -> list[Result]:
    """Top-1 and top-5 errors in fp32 by each protocol, in one pass over the images.

    Args:
        nets: names and nets with a last layer `fc`. They end on the device, in evaluation mode.
        images: from `find_images`.
        protocols: some of `PROTOCOLS`, or others.
        device: CUDA if there is any, else the CPU.
        skip_corrupt: leave out images that `read_image` refuses; the results name them.
        say: is told after each tenth of the images how far it is.

    Returns:
        For each protocol a result of each net, and if there are several then one of their ensemble (Table 5).

    Raises:
        UserError: a net's classes are not as many as the folder's, an image cannot be read, or scores are not numbers.
    """
    chosen = Hardware.choose(device, precision="fp32").device
    num_classes, num_images = len(images.classes), len(images.files)
    for name, net in nets:
        if net.fc.out_features != num_classes:
            raise UserError(
                f"net {name} has {net.fc.out_features} classes and {images.folder} has {num_classes} class folders; "
                "take the images that the net was trained for (an empty folder keeps a class's place)"
            )
        net.to(chosen).eval()
    ensembles = [(name,) for name, _ in nets]  # each net alone, then all
    if len(nets) > 1:
        ensembles.append(tuple(name for name, _ in nets))

    tested, skipped = 0, []
    wrong = torch.zeros(len(protocols), len(ensembles), 2, dtype=torch.int64)  # by top-1 and by top-5
    for labels, views in _groups(images, protocols, skipped if skip_corrupt else None):
        for protocol, of_images, counts in zip(protocols, zip(*views, strict=True), wrong, strict=True):
            each = torch.stack([_scores(net, of_images, protocol) for _, net in nets])  # (nets, N, num_classes)
            for (name, _), of_net in zip(nets, each, strict=True):
                if not of_net.isfinite().all():
                    raise UserError(
                        f"scores of net {name} are not numbers: its weights are damaged, or its training diverged; "
                        "take other weights"
                    )
            if len(nets) > 1:
                each = torch.cat([each, each.mean(dim=0, keepdim=True)])
            best = each.topk(min(5, num_classes)).indices.cpu()  # (ensembles, N, 5), the best one first
            hits = best == labels[:, None]
            counts += torch.stack([~hits[..., 0], ~hits.any(dim=2)], dim=2).sum(dim=1)
        before, tested = tested, tested + len(labels)
        if 10 * tested // num_images > 10 * before // num_images:
            say(f"{tested:,} of {num_images:,} images")
    if not tested:
        raise UserError(f"none of the {len(skipped)} images in {images.folder} can be read; replace them")
    return [
        Result(protocol.name, names, num_classes, tested, tuple(skipped), 100 * wrong1 / tested, 100 * wrong5 / tested)
        for protocol, counts in zip(protocols, wrong.tolist(), strict=True)
        for names, (wrong1, wrong5) in zip(ensembles, counts, strict=True)
    ]


def _scores(net: nn.Module, views: Sequence[list[Tensor]], protocol: Protocol) -> Tensor:
    """`scores` of images whose views each are a list over scales of (V, 3, H, W)."""
    at_once = 1 if protocol.crop is None else len(views)  # whole images differ in size
    batches = [views[i : i + at_once] for i in range(0, len(views), at_once)]
    return torch.cat([scores(net, [torch.stack(s) for s in zip(*batch, strict=True)]) for batch in batches])


def _groups(
    images: Images, protocols: Sequence[Protocol], skipped: list[str] | None
) -> Iterator[tuple[Tensor, list[list[list[Tensor]]]]]:
    """A few images at a time: labels (N,), and of each image the views by protocol and scale.

    The next few are read meanwhile, by threads that decode outside Python's lock. Names what cannot be read in
    `skipped` if there is one.
    """

    def read(path: Path) -> list[list[Tensor]]:
        image = read_image(path)
        return [protocol.views(image) for protocol in protocols]

    with ThreadPoolExecutor() as pool:
        ahead = []
        for start in range(0, len(images.files) + IMAGES_AT_ONCE, IMAGES_AT_ONCE):  # the last round reads nothing new
            some = slice(start, start + IMAGES_AT_ONCE)
            coming = [
                (path, label, pool.submit(read, path))
                for path, label in zip(images.files[some], images.labels[some], strict=True)
            ]
            labels, views = [], []
            for path, label, future in ahead:
                try:
                    views.append(future.result())
                    labels.append(label)
                except UserError:
                    if skipped is None:
                        raise
                    skipped.append(path.relative_to(images.folder).as_posix())
            if labels:
                yield torch.tensor(labels), views
            ahead = coming


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
    if len(last) > MOST_CLASSES:
        raise UserError(f"{path}: {len(last):,} classes are too many; a net can have {MOST_CLASSES:,}")
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
        content = read_regular(path)
    except OSError as error:
        raise UserError(f"{path} cannot be read ({reason(error)}); name a file of weights") from None
    try:
        if path.suffix == ".safetensors":
            return safetensors.torch.load(content)
        weights = load_saved(content)
    except Exception:  # what damaged files raise has no common type, and torch's advice is to run what is in them
        raise UserError(
            f"{path} is damaged, or holds more than weights, such as code, which is not run; save net.state_dict() anew"
        ) from None
    if not isinstance(weights, dict) or not all(isinstance(name, str) and is_plain(weights[name]) for name in weights):
        raise UserError(f"{path} holds something else than weights by name; save net.state_dict() alone")
    return {name: torch.detach(value) for name, value in weights.items()}


def _fetch(depth: int, folder: Path | None) -> Path:
    """The file of torchvision's weights, downloaded if it is not in the folder yet."""
    url = torchvision.models.get_model_weights(f"resnet{depth}").IMAGENET1K_V1.url
    if folder is None and torch.hub.get_dir().startswith("~"):
        raise UserError("there is no home folder, in which torchvision's weights would be; name theirs with --weights")
    path = (folder or Path(torch.hub.get_dir()) / "checkpoints") / url.rpartition("/")[2]
    if not path.exists():
        digest = path.stem.rpartition("-")[2]  # torchvision's files carry the beginning of theirs
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            torch.hub.download_url_to_file(url, str(path), digest)
        except (OSError, RuntimeError, http.client.HTTPException) as error:
            raise UserError(f"{url} could not be downloaded ({reason(error)}); put it into {path.parent}") from None
    return path
