"""From what a config says to the net."""

from torch import nn

from resnet_lib.nets.models import CifarNet, ImageNetNet
from resnet_lib.nets.others import FullyConnected, VisionTransformer
from resnet_lib.runs.config import NetConfig


def build(config: NetConfig, in_channels: int = 3, num_classes: int = 10, image_size: int = 32) -> nn.Module:
    """The net of a config, with the weights that torch gives it; see `models.initialize`.

    Raises:
        ValueError: the depth does not exist in that family.
    """
    depth, shortcut = config.depth, config.shortcut
    match config.family:
        case "cifar":
            varied = config.model_dump(exclude={"family", "depth", "shortcut"})
            return CifarNet(depth, shortcut, in_channels, num_classes, image_size=image_size, **varied)
        case "imagenet":
            return ImageNetNet(depth, shortcut, num_classes, in_channels)
        case "transformer":
            return VisionTransformer(depth, shortcut, in_channels, num_classes, image_size)
        case "fully-connected":
            return FullyConnected(depth, in_channels * image_size**2, num_classes)
