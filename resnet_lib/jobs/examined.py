"""A trained net that is looked into, with what it takes to test it."""

from dataclasses import dataclass

from torch import nn

from resnet_lib import training
from resnet_lib.data.sets import Dataset
from resnet_lib.runs.config import RunConfig
from resnet_lib.training.hardware import Hardware

WHOLE = "whole net"  # the label of the net as it was trained


@dataclass(frozen=True)
class Examined:
    """A trained net with the arithmetic it is tested with; `dataset` holds the test images to use."""

    net: nn.Module
    dataset: Dataset
    hardware: Hardware

    @property
    def seed(self) -> int:
        """Of what is drawn at random."""
        return 0


@dataclass(frozen=True)
class Trained(Examined):
    """The net of a run, with the data and the arithmetic it was trained with."""

    config: RunConfig

    @property
    def seed(self) -> int:
        """That of the run: what is drawn differs from seed to seed."""
        return self.config.seed


def test_error(trained: Examined, net: nn.Module) -> float:
    """Error of a net on the test images, in percent."""
    return training.evaluate(net, trained.dataset, "test", trained.hardware)[1]
