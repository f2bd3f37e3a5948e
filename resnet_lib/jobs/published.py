"""Nets that others trained: found in a folder or fetched, checked, made into nets of ours, and measured.

They are looked for as published/AUTHOR/FILE in `RESNET_LIB_DATA`, then in the cache, where downloads go.
"""

import copy
import hashlib
import http.client
import time
import urllib.request
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from resnet_lib import data, training
from resnet_lib.data.sets import Dataset
from resnet_lib.errors import UserError, reason
from resnet_lib.files import cache_dir, read_regular, write_atomically
from resnet_lib.jobs import studies
from resnet_lib.jobs.campaign import say
from resnet_lib.jobs.examined import WHOLE, Examined
from resnet_lib.jobs.full_length import MEASURES
from resnet_lib.nets.models import CifarNet
from resnet_lib.runs.published import PublishedNet, Publisher
from resnet_lib.runs.records import PUBLISHED, PublishedStudy, TestImages
from resnet_lib.runs.store import Records
from resnet_lib.training.hardware import Hardware
from resnet_lib.training.provenance import begin_segment, provenance
from resnet_lib.training.recording import measure
from resnet_lib.training.saved import load_saved

HOST = "https://raw.githubusercontent.com"
PATIENCE = 60.0  # seconds without an answer
TRAINING_IMAGES = 5000  # the first ones, for the training error and for new statistics of batch norm
TRAINING = f"training error, {TRAINING_IMAGES:,} images"
RE_ESTIMATED = "batch norm re-estimated"


def locate(net: PublishedNet) -> Path | None:
    """Where the net's file is, or None if it would have to be downloaded; what is in it was not looked at."""
    places = (folder / PUBLISHED / net.place for folder in data.data_dirs())
    return next((path for path in places if path.exists()), None)


def fetch(net: PublishedNet) -> Path:
    """Makes sure that the net's file is on this machine and is the one that its author published.

    Raises:
        UserError: the download failed, or its content is not that file's: then nothing is stored. Or there is a file
            of its name with other content, or the cache cannot be written to.
    """
    if (path := locate(net)) is not None:
        read(path, net)
        return path
    url = f"{HOST}/{net.publisher.repository}/{net.publisher.commit}/{net.file.path}"
    try:
        with urllib.request.urlopen(url, timeout=PATIENCE) as answer:
            content = answer.read(net.file.bytes + 1)  # enough to see that it is too long
    except (OSError, http.client.HTTPException) as error:  # URLError is an OSError
        raise UserError(f"{net.name}: {url} could not be downloaded ({reason(error)}); {how_to_bring(net)}") from None
    if wrong := difference(content, net):
        raise UserError(f"{net.name}: {url} gave another file ({wrong}); {how_to_bring(net)}")
    path = cache_dir() / "data" / PUBLISHED / net.place
    write_atomically(path, lambda file: file.write(content))
    return path


def how_to_bring(net: PublishedNet) -> str:
    """How to have the net without a download by this package."""
    return f"bring it as {PUBLISHED}/{net.place} in the folder that RESNET_LIB_DATA names"


def read(path: Path, net: PublishedNet) -> bytes:
    """The content of the net's file.

    Raises:
        UserError: it cannot be read, or is not what the net's author published.
    """
    try:
        content = read_regular(path)
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({reason(error)})") from None
    if wrong := difference(content, net):
        raise UserError(f"{path} is not the file that {net.author} published ({wrong}); replace or delete it")
    return content


def difference(content: bytes, net: PublishedNet) -> str | None:
    """What is wrong with the content of a file that should be the net's, or None."""
    if len(content) != net.file.bytes:
        longer = "over " if len(content) > net.file.bytes else ""
        return f"{longer}{min(len(content), net.file.bytes):,} bytes in place of {net.file.bytes:,}"
    digest = hashlib.sha256(content).hexdigest()
    return None if digest == net.file.sha256 else f"SHA-256 {digest[:8]}… in place of {net.file.sha256[:8]}…"


def load(net: PublishedNet) -> CifarNet:
    """The net as one of ours, from its file; see `fetch`. Only tensors are read: code in the file is not run.

    Raises:
        UserError: as `fetch` does; or the file does not hold the weights of such a net.
    """
    path = fetch(net)
    state = translated(_tensors(path, read(path, net), net.publisher), net, path)
    ours = CifarNet(net.config.depth, net.config.shortcut)
    wanted = {name: value.shape for name, value in ours.state_dict().items()}
    given = {name: value.shape for name, value in state.items()}
    if wrong := sorted(name for name in wanted.keys() | given.keys() if wanted.get(name) != given.get(name)):
        raise UserError(f"{path}: not a {net.net}: {wrong[0]} is missing, superfluous or of another shape")
    ours.load_state_dict(state)
    return ours.to(memory_format=torch.channels_last)


def _tensors(path: Path, content: bytes, publisher: Publisher) -> dict[str, Tensor]:
    """The weights in a file, by their author's names."""
    try:
        found = load_saved(content)
    except Exception:  # torch raises many types for such a file, and its advice is to run what is in it
        raise UserError(f"{path}: cannot be read as weights, or holds code, which is not run") from None
    if publisher.state is not None:
        found = found.get(publisher.state) if isinstance(found, dict) else None
    if not isinstance(found, dict) or not all(isinstance(value, Tensor) for value in found.values()):
        raise UserError(f"{path}: holds something else than weights by name")
    return found


def translated(weights: dict[str, Tensor], net: PublishedNet, path: Path) -> dict[str, Tensor]:
    """The weights of a net by our names, with the channels of each stage in our order.

    Raises:
        UserError: a name is not one that its author's nets have.
    """
    names = our_names(net)
    state: dict[str, Tensor] = {}
    for name, value in weights.items():
        module, _, kind = name.removeprefix(net.publisher.prefix).rpartition(".")
        member, _, layer = module.rpartition(".")  # stack1.0.conv1 is conv1 of the block stack1.0
        ours = names.get(module) or (f"{names[member]}.{layer}" if member in names else None)
        if ours is None:
            raise UserError(f"{path}: not a {net.net}: it has {name}")
        state[f"{ours}.{kind}"] = value
        if kind == "running_var":  # files from before torch 0.4.1 do not count batches; ours, without any, are new
            state.setdefault(f"{ours}.num_batches_tracked", torch.tensor(1))
    return reordered(state) if net.publisher.new_channels == "on both sides" else state


def our_names(net: PublishedNet) -> dict[str, str]:
    """Name of a layer or a block at its author's -> ours."""
    blocks = range((net.config.depth - 2) // 6)
    return {
        theirs.format(i=i, next=i + 1): ours.format(i=i, next=i + 1)
        for theirs, ours in net.publisher.names.items()
        for i in blocks
    }


def reordered(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """The weights of a net whose option A pads on both sides, as those of one that pads behind.

    There stage 2 has the 16 channels of stage 1 at 8 to 23, and stage 3 the 32 of stage 2 at 16 to 47. The first
    layer of a block writes to channels that only its second reads: their order stays.
    """
    second = [*range(8, 24), *range(8), *range(24, 32)]  # our channel -> theirs
    third = [*(16 + channel for channel in second), *range(16), *range(48, 64)]
    orders = {"layer1": [*range(16)], "layer2": second, "layer3": third}

    def order(name: str, value: Tensor) -> Tensor:
        stage, _, rest = name.partition(".")
        if name == "fc.weight":
            return value[:, third]
        if stage not in orders:
            return value
        block, layer, kind = rest.split(".")
        if layer == "conv1":
            before = {"layer2": "layer1", "layer3": "layer2"}.get(stage, stage) if block == "0" else stage
            return value[:, orders[before]]
        return value[orders[stage]] if layer in ("conv2", "bn2") and kind != "num_batches_tracked" else value

    return {name: order(name, value) for name, value in state.items()}


def dataset_of(net: PublishedNet) -> Dataset:
    """CIFAR-10 with the normalisation that this net was trained with.

    Raises:
        UserError: as `data.load` does.
    """
    pixels = {name: 255 * torch.tensor(getattr(net.publisher, name)).view(3, 1, 1) for name in ("mean", "std")}
    dataset = data.load("cifar10", 32)
    return replace(dataset, mean=pixels["mean"].expand_as(dataset.mean).contiguous(), std=pixels["std"])


# --------------------------------------------------------------------------------------------------- what is measured

WHOLE_NET, BLACK_BORDER = "whole-net", "black-border"
LESIONS: dict[str, Callable[[Examined], dict[str, float]]] = {
    "delete-block": studies.delete_block,
    "swap-blocks": studies.swap_blocks,
    "delete-at-random": studies.delete_at_random,
    "deletion-curve": studies.deletion_curve,
}
OF_PAIRS = {"deletion-curve"}  # lesions that only the nets of whoever trained plain and residual ones get
LESIONED_DEPTHS = (20, 56)  # those of our own nets that are looked into


def studies_of(net: PublishedNet) -> list[str]:
    """What is measured on a net."""
    if net.config.depth not in LESIONED_DEPTHS:
        return [WHOLE_NET, BLACK_BORDER]
    residual, pair = net.config.shortcut != "none", any(name.startswith("plain") for name in net.publisher.nets)
    fits = {
        name: net.config.depth in of.others and (residual or of.plain) and (pair or not of.pairs_only)
        for name, of in MEASURES.items()
    }
    along = [name for name, fitting in fits.items() if fitting]
    lesions = [name for name in LESIONS if pair or name not in OF_PAIRS]
    return [WHOLE_NET, BLACK_BORDER, *lesions, *along]


def make_study(study: str, net: PublishedNet, num_images: int | None = None) -> PublishedStudy:
    """Measures one net: in fp32 on all test images, but lesions on fewer, in the arithmetic of the book's studies.

    Args:
        study: one of `studies_of`.
        net: of the manifest.
        num_images: how many of the first test images to use, of what does not use all; by default as of our own nets.

    Raises:
        UserError: as `load` and `dataset_of` do.
    """
    hardware = Hardware.choose(precision="auto" if study in LESIONS else "fp32")
    dataset = dataset_of(net).to(hardware.device)
    if study in LESIONS or study in MEASURES:
        num_images = num_images or studies.FEWER_IMAGES.get(study, studies.NUM_IMAGES)
        dataset = replace(
            dataset, test_images=dataset.test_images[:num_images], test_labels=dataset.test_labels[:num_images]
        )
    examined = Examined(load(net).to(hardware.device), dataset, hardware)
    started = time.perf_counter()
    if study == WHOLE_NET:
        values, more = whole_net(examined)
    else:
        along = {name: of.of for name, of in MEASURES.items()}
        values, more = {**LESIONS, **along, BLACK_BORDER: black_border}[study](examined), {}
    seconds = time.perf_counter() - started
    used = len(dataset.test_labels)
    return PublishedStudy(
        format=1,
        study=study,
        net=net.name,
        source=net.source,
        num_images=used,
        label=tuple(values),
        value=tuple(float(f"{value:.7g}") for value in values.values()),
        **more,
        provenance=provenance(dataset.digest, [begin_segment(0, hardware)], seconds, used * len(values)),
    )


def whole_net(examined: Examined) -> tuple[dict[str, float], dict[str, Any]]:
    """Errors of a net as it is and with other statistics of batch norm; its probes and the test images it gets right.

    The training error is that on some images, not augmented. The other statistics are means over the same images.
    """
    few = few_to_train(examined.dataset)
    whole = training.evaluate(examined.net, examined.dataset, "test", examined.hardware)
    values = {WHOLE: whole.error, TRAINING: training.evaluate(examined.net, few, "train", examined.hardware).error}
    more = {
        "probes": measure(examined.net, examined.dataset),
        "test_images": TestImages.of(whole.right.tolist()),
    }
    return values | {RE_ESTIMATED: error_re_estimated(examined, few)}, more


def black_border(examined: Examined) -> dict[str, float]:
    """Test error with batch norm's statistics taken anew over crops of the kind that these nets were trained on.

    torchvision, by which all of them were, crops pixels: what it adds around an image is black, where our border is
    the mean (`data.augment`). Dark borders raise the variance that batch norm sees, and the weights have got used to
    it: with statistics over images without them the nets are points worse.
    """
    few = few_to_train(examined.dataset)
    draw = data.Epoch.draw(len(few.train_images), 4, seed=0, epoch=0, device=few.train_images.device)
    crops = data.augment(few.train_images.float(), draw.offsets, draw.flips, 4)
    return {RE_ESTIMATED: error_re_estimated(examined, replace(few, train_images=crops))}


def few_to_train(dataset: Dataset) -> Dataset:
    """The data set with so few of its training images that each net can be measured on them."""
    images, labels = dataset.train_images[:TRAINING_IMAGES], dataset.train_labels[:TRAINING_IMAGES]
    return replace(dataset, train_images=images, train_labels=labels)


def error_re_estimated(examined: Examined, dataset: Dataset) -> float:
    """Test error with batch norm's statistics in the mean over the training images of a data set."""
    net = copy.deepcopy(examined.net)
    training.reestimate_bn(net, dataset, examined.hardware)
    return studies.test_error(examined, net)


def work(nets: Sequence[PublishedNet], folder: Path) -> list[PublishedStudy]:
    """Makes the studies of these nets that are not in a folder of records yet, and stores them there; returns them.

    Raises:
        UserError: as `make_study` does; what was finished before is stored.
    """
    made = []
    for net in nets:
        for study in studies_of(net):
            if Records(folder).published(study, net.name) is None:
                made.append(make_study(study, net))
                studies.store(made[-1], folder)
                say(f"{made[-1].name}: {made[-1].provenance.seconds:.0f} s")
    return made
