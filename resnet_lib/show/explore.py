"""What the built pages make explorable: pictures and tables that carry their numbers, for book/_static/explore.js.

The script computes nothing: it shows what stands here. A page without it, on paper say, and a notebook on Colab show
the usual picture, and the table of one net.
"""

import hashlib
import io
import json
import re
from collections.abc import Iterator
from html import escape
from itertools import product

import matplotlib.pyplot as plt
import torch
from matplotlib.lines import Line2D

from resnet_lib.display import Html, Table
from resnet_lib.nets import geometry
from resnet_lib.nets.models import IMAGENET_BLOCKS, Bottleneck, CifarNet, ImageNetNet
from resnet_lib.show.figures import Figure

CIFAR, TABLE1 = "CIFAR-10 (section 4.2)", "ImageNet (Table 1)"
CIFAR_DEPTHS = {"basic": (20, 32, 44, 56, 110), "bottleneck": (20, 29, 47, 56, 110)}  # the paper's, and near them
OPTIONS = ("none", "A", "B", "C")
FIELDS = ("nets for", "block", "layers", "filters in the first stage", "shortcut", "image, pixels")
SHOWN = (CIFAR, "basic", 20, 16, "A", 32)


def curves(figure: Figure) -> Html:
    """A figure of training curves as SVG with its values; on a page it takes the place of the picture above it.

    A reader can then hide and show each net, and read the values at any iteration.

    Args:
        figure: one of `figures`, whose curves carry the name of their net as group id.

    Raises:
        ValueError: no curve of the figure belongs to a net.
    """
    drawing = io.StringIO()
    with plt.rc_context({"svg.fonttype": "none", "svg.hashsalt": "resnet_lib"}):
        figure.savefig(drawing, format="svg", metadata=dict.fromkeys(("Creator", "Date", "Format", "Type")))
    panels = []  # after drawing, which is what gives the panels their places
    for axes in figure.axes:
        if lines := [_curve(line) for line in axes.lines if line.get_gid() and len(line.get_xdata()) > 1]:
            box = axes.get_position()
            place = [round(float(share), 4) for share in (box.x0, 1 - box.y1, box.width, box.height)]
            limits = [float(limit) for limit in axes.get_xlim()]
            panels.append({"title": axes.get_title(loc="left"), "place": place, "limits": limits, "curves": lines})
    if not panels:
        raise ValueError("no curve of the figure belongs to a net")
    nets = {curve["net"] for panel in panels for curve in panel["curves"]}
    return _carrier("curves", _inline(drawing.getvalue(), nets), panels, hidden=True)


def _curve(line: Line2D) -> dict[str, object]:
    """One line: net, what the curve is of (training, test), colour, and its points."""
    return {
        "net": line.get_gid(),
        "of": str(line.get_label()).rpartition(", ")[2],
        "color": line.get_color(),
        "x": [round(float(x), 2) for x in line.get_xdata()],
        "y": [round(float(y), 2) for y in line.get_ydata()],
    }


def _inline(svg: str, nets: set[str]) -> str:
    """An SVG file as part of a page: without what is for a file, as wide as its place, and with nets marked."""
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<style.*?</style>", "", svg, flags=re.DOTALL)  # which would hold for the whole page
    svg = re.sub(r'(<svg[^>]*?) width="[^"]*" height="[^"]*"', r"\1", svg)
    for net in nets:
        svg = svg.replace(f'<g id="{escape(net)}">', f'<g data-net="{escape(net)}">')
    own = hashlib.sha256(svg.encode()).hexdigest()[:6]  # else two drawings of a page would share names
    return re.sub(r'( id="|href="#|url\(#)', rf"\g<1>d{own}-", svg)


def nets() -> Html:
    """Tables of many nets, stage by stage, of which a page shows the one that its reader sets; here ResNet-20 A."""
    catalogue = dict(_catalogue())
    shown = catalogue[SHOWN]
    entries = [[choice, table.values.tolist()] for choice, table in catalogue.items()]
    data = {"fields": FIELDS, "shown": SHOWN, "entries": entries}
    return _carrier("nets", shown.to_html(index=False, border=0), data)


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


def _carrier(kind: str, shown: str, data: object, hidden: bool = False) -> Html:
    """What a page shows, with the data that the script needs for it."""
    numbers = json.dumps(data, separators=(",", ":")).replace("<", "\\u003c")  # "</script>" would end it
    attribute = " hidden" if hidden else ""
    return Html(
        f'<div class="explore-{kind}"{attribute}>\n{shown}\n<script type="application/json">{numbers}</script>\n</div>'
    )
