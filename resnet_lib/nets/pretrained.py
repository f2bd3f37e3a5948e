"""Trained nets by name, for whoever wants to use one: they take pixels, and each carries its model card.

`pretrained` is also `resnet_lib.pretrained` and, by way of `hubconf.py`, what `torch.hub.load` gives.
"""

from pathlib import Path

import numpy as np
import safetensors.torch
import torch
from torch import Tensor, nn

from resnet_lib.errors import UserError, lookup
from resnet_lib.files import PACKAGE, boundary, read_regular
from resnet_lib.nets.build import build
from resnet_lib.runs.cards import model_card
from resnet_lib.runs.experiments import SUITES, long_runs
from resnet_lib.runs.profiles import PROFILES
from resnet_lib.runs.records import RunRecord
from resnet_lib.runs.settings import Setting
from resnet_lib.runs.store import Records

PROFILES_ON_CIFAR10 = {name: profile for name, profile in PROFILES.items() if profile.data.name == "cifar10"}


def net_name(setting: Setting) -> str:
    """How a net is asked for: plain56, resnet56, resnet32b (of option B; A is not named)."""
    if setting.net.shortcut == "none":
        return f"plain{setting.net.depth}"
    option = "" if setting.net.shortcut == "A" else setting.net.shortcut.lower()
    return f"resnet{setting.net.depth}{option}"


def _nets() -> dict[str, Setting]:
    settings = (Setting(run.net) for run in long_runs())
    return {net_name(setting): setting for setting in (*SUITES["degradation"].settings, *settings)}


NETS = _nets()
"""The nets of Figure 6 and of the shortcut options by the name that they are asked for with."""


class Pretrained(nn.Module):
    """A trained net that takes pixels: a net given images that were prepared otherwise is wrong without a complaint.

    `net` is the net itself, which takes what `prepare` gives, and `record` is that of its run.
    """

    def __init__(self, net: nn.Module, record: RunRecord) -> None:
        super().__init__()
        self.net = net
        self.record = record
        with np.load(PACKAGE / "datasets" / "cifar10-mean.npz") as file:
            self.register_buffer("mean", torch.from_numpy(file["mean"]))
            self.register_buffer("std", torch.from_numpy(file["std"]))

    def prepare(self, images: Tensor) -> Tensor:
        """What the net was trained on: the mean image of CIFAR-10's training set subtracted, divided by one deviation.

        Args:
            images: (N, 3, 32, 32) in RGB: uint8 from 0 to 255, or floating point from 0 to 1, as torchvision's
                transforms give them.

        Raises:
            UserError: the images have another shape or type.
        """
        if images.shape[1:] != self.mean.shape:
            raise UserError(f"images are {tuple(images.shape)}; this net takes (N, 3, 32, 32), RGB")
        if images.dtype != torch.uint8 and not images.is_floating_point():
            raise UserError(f"images are {images.dtype}; give uint8 from 0 to 255, or floating point from 0 to 1")
        pixels = images.float() * (255 if images.is_floating_point() else 1)
        return (pixels - self.mean) / self.std

    def forward(self, images: Tensor) -> Tensor:
        """Images as of `prepare` -> logits (N, 10)."""
        return self.net(self.prepare(images))

    @property
    def card(self) -> str:
        """Its model card in Markdown, written from the record."""
        return model_card(self.record)


def pretrained(name: str, seed: int = 0, profile: str | None = None, records: Records | None = None) -> Pretrained:
    """A net trained on CIFAR-10, in evaluation mode, from weights that ship with the package or were made here.

    Args:
        name: resnet20, plain20, resnet56, plain56, ...
        seed: of its run.
        profile: "paper" for the paper's schedule, "quick" for a tenth of it; by default the fullest there is.
        records: where to look, by default in the package and then in the cache.

    Raises:
        UserError: there is no such net or profile, or there are no weights of it: the line says which there are. Or
            the weights cannot be read.
    """
    setting = lookup(NETS, name, "net")
    profiles = list(PROFILES_ON_CIFAR10.values())
    if profile is not None:
        profiles = [lookup(PROFILES_ON_CIFAR10, profile, "profile of a pretrained net")]
    records = records or Records.all()
    for scale in reversed(profiles):
        config = setting.at(scale, seed)
        record, weights = records.get(config), records.weights(config)
        if record is not None and weights is not None:
            net = build(config.net)
            load_weights(net, weights)
            return Pretrained(net, record).eval()
    of = f"{name}, seed {seed}" + (f", profile {profile}" if profile else "")
    raise UserError(f"there are no trained weights of {of}; there are {', '.join(available(records)) or 'none at all'}")


def available(records: Records) -> list[str]:
    """The trained nets there are, by name, seed and profile: resnet20 (seed 0, quick)."""
    return [
        f"{name} (seed {seed}, {profile.name})"
        for name, setting in NETS.items()
        for profile in PROFILES_ON_CIFAR10.values()
        for seed in range(profile.num_seeds)
        if records.weights(setting.at(profile, seed)) is not None
    ]


def load_weights(net: nn.Module, path: Path) -> None:
    """Gives a net the weights and statistics of a file.

    Raises:
        UserError: they are not that net's, or the file is damaged.
    """
    with boundary(lambda reason: f"{path}: cannot be read as the weights of this net ({reason}); restore the file"):
        net.load_state_dict(safetensors.torch.load(read_regular(path)))
