"""Drawings show the nets of the library, and are right on any ground."""

import re
from xml.etree import ElementTree

import pytest
import torch

from resnet_lib.evidence import diagnosis
from resnet_lib.nets import models
from resnet_lib.nets.blocks import ZeroPadShortcut
from resnet_lib.nets.geometry import output_shape
from resnet_lib.show import drawings, pictures

ALL = ("blocks", "options", "bottleneck", "cifar_net", "imagenet_net", "diagnosis")


def texts(drawing: str) -> list[str]:
    return re.findall(r"<text[^>]*>([^<]*)</text>", drawing)


@pytest.mark.parametrize("name", ALL)
def test_a_drawing_is_whole_and_has_no_colour_of_its_own_for_the_ground_and_the_ink(name: str) -> None:
    drawing = getattr(drawings, name)()
    assert len(ElementTree.fromstring(drawing).findall(".//svg/text")) == len(texts(drawing)) > 5
    for color in pictures.THEME:
        assert color not in re.sub(r"var\([^)]*\)", "", drawing)
    assert not re.search(r'\bid="', drawing)  # a page may hold several


@pytest.mark.parametrize(
    ("net", "stages", "side", "draw"),
    [
        (models.CifarNet(20, "A"), drawings.CIFAR_STAGES, 32, drawings.cifar_net),
        (models.ImageNetNet(34, "A"), drawings.IMAGENET_STAGES, 224, drawings.imagenet_net),
    ],
    ids=["CIFAR", "ImageNet"],
)
def test_the_nets_drawn_are_the_librarys(net: torch.nn.Module, stages: tuple, side: int, draw: object) -> None:
    shapes = []
    for stage in net.stages:
        stage.register_forward_hook(lambda _module, _inputs, output: shapes.append(tuple(output.shape[1:])))
    output_shape(net, (3, side, side))
    assert [(channels, side, side) for channels, side, _ in stages] == shapes
    assert [number for *_, number in stages] == [len(stage) for stage in net.stages]
    said = texts(draw())
    for stage in net.stages:
        convolutions = [block.conv1 for block in stage]
        strides = [", stride 2" if conv.stride == (2, 2) else "" for conv in convolutions]
        due = [f"2 × 3×3, {convolutions[0].out_channels}{stride}" for stride in strides]
        assert [text for text in said if text in due] == due
    assert draw().count("stroke-dasharray") == sum(
        isinstance(block.downsample, ZeroPadShortcut) for stage in net.stages for block in stage
    )


def test_the_questions_lead_to_the_cases_of_the_diagnosis() -> None:
    said = " ".join(texts(drawings.diagnosis()))
    for case in (diagnosis.FINE, diagnosis.OVERFITS, diagnosis.CANNOT_FIT, diagnosis.TOO_RIGID, diagnosis.DIVERGED):
        assert case in said
