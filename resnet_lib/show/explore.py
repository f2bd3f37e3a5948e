"""What the built pages make explorable: figures and tables that carry their numbers, for book/_static/explore.js.

The script computes nothing: it shows what stands here. A page without it, on paper say, and a notebook on Colab show
the figure alone, and the table of one net.
"""

import json
from collections.abc import Iterator
from itertools import product

import torch
from matplotlib.colors import to_hex
from matplotlib.lines import Line2D

from resnet_lib.display import Html, Table
from resnet_lib.nets import geometry
from resnet_lib.nets.blocks import Bottleneck
from resnet_lib.nets.models import IMAGENET_BLOCKS, CifarNet, ImageNetNet
from resnet_lib.show.figures import Figure
from resnet_lib.show.pictures import themed

CIFAR, TABLE1 = "CIFAR-10 (section 4.2)", "ImageNet (Table 1)"
CIFAR_DEPTHS = {"basic": (20, 32, 44, 56, 110), "bottleneck": (20, 29, 47, 56, 110)}  # the paper's, and near them
OPTIONS = ("none", "A", "B", "C")
FIELDS = ("nets for", "block", "layers", "filters in the first stage", "shortcut", "image, pixels")
SHOWN = (CIFAR, "basic", 20, 16, "A", 32)


def curves(figure: Figure) -> Html:
    """The values of a figure of training curves; on a page they go with the figure, which stands above.

    A reader can then hide and show each net, and read the values at any iteration.

    Args:
        figure: one of `figures`, whose curves carry the name of their net as group id.

    Raises:
        ValueError: no curve of the figure belongs to a net.
    """
    panels = []
    for number, (axes, drawn) in enumerate(zip(figure.panels, figure.drawn(), strict=True)):
        if lines := [_curve(line) for line in axes.lines if line.get_gid() and len(line.get_xdata()) > 1]:
            place = [round(float(share), 4) for share in drawn.place]
            limits = [float(limit) for limit in axes.get_xlim()]
            panels.append(
                {"number": number, "title": drawn.panel.title, "place": place, "limits": limits, "curves": lines}
            )
    if not panels:
        raise ValueError("no curve of the figure belongs to a net")
    return carrier("curves", "", panels, hidden=True)


def _curve(line: Line2D) -> dict[str, object]:
    """One line: net, what the curve is of (training, test), colour, and its points."""
    return {
        "net": line.get_gid(),
        "of": str(line.get_label()).rpartition(", ")[2],
        "color": themed(to_hex(line.get_color())),
        "x": [round(float(x), 2) for x in line.get_xdata()],
        "y": [round(float(y), 2) for y in line.get_ydata()],
    }


def nets() -> Html:
    """Tables of many nets, stage by stage, of which a page shows the one that its reader sets; here ResNet-20 A."""
    catalogue = dict(_catalogue())
    shown = catalogue[SHOWN]
    entries = [[choice, table.values.tolist()] for choice, table in catalogue.items()]
    data = {"fields": FIELDS, "shown": SHOWN, "entries": entries}
    return carrier("nets", shown.to_html(index=False, border=0), data)


def _catalogue() -> Iterator[tuple[tuple[str, str, int, int, str, int], Table]]:
    """Values for `FIELDS`, and the net that they mean by stage."""
    with torch.device("meta"):
        for block, depths in CIFAR_DEPTHS.items():
            for depth, width, shortcut in product(depths, (16, 32, 64), OPTIONS):
                net = CifarNet(depth, shortcut, block=block, width=width)
                for side in (32, 64):
                    yield (CIFAR, block, depth, width, shortcut, side), geometry.by_stage(net, (3, side, side))
        for depth, (block, _) in IMAGENET_BLOCKS.items():
            for shortcut in OPTIONS:
                net = ImageNetNet(depth, shortcut)
                for side in (64, 224):
                    kind = "bottleneck" if block is Bottleneck else "basic"
                    yield (TABLE1, kind, depth, 64, shortcut, side), geometry.by_stage(net, (3, side, side))


def carrier(kind: str, shown: str, data: object, hidden: bool = False) -> Html:
    """What a page shows, with the data that the script needs for it."""
    numbers = json.dumps(data, separators=(",", ":")).replace("<", "\\u003c")  # "</script>" would end it
    attribute = " hidden" if hidden else ""
    return Html(
        f'<div class="explore-{kind}"{attribute}>\n{shown}\n<script type="application/json">{numbers}</script>\n</div>'
    )
