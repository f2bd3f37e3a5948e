"""Drawings of blocks and nets: what the paper's Figures 2, 3 and 5 show, and chapter 10's questions."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from html import escape

from resnet_lib.display import Html
from resnet_lib.show.pictures import Panel, picture

INK, GROUND, BLUE = "#000000", "#ffffff", "#0072b2"
ORANGE, MUTED = "#d55e00", "#595959"

CIFAR_STAGES = ((16, 32, 3), (32, 16, 3), (64, 8, 3))  # channels, side of the maps, blocks: ResNet-20 (section 4.2)
IMAGENET_STAGES = ((64, 56, 3), (128, 28, 4), (256, 14, 6), (512, 7, 3))  # ResNet-34 (Table 1, Figure 3 right)


class Sheet:
    """What is drawn, part by part, from the top left corner; a unit is a pixel of a phone."""

    def __init__(self, width: int, height: int) -> None:
        self.size, self.parts = (width, height), []

    def write(
        self, x: float, y: float, text: str, anchor: str = "middle", *, color: str = INK, bold: bool = False
    ) -> None:
        """Lines of text, the first one's middle at (x, y)."""
        weight = ' font-weight="bold"' if bold else ""
        for number, line in enumerate(text.split("\n")):
            place = f'x="{x:g}" y="{y + 4 + 15 * number:g}" text-anchor="{anchor}"'
            self.parts.append(f'<text {place} fill="{color}"{weight}>{escape(line)}</text>')

    def box(self, left: float, top: float, width: float, height: float, text: str = "", **look: object) -> None:
        """A box with text in its middle; see `shape`."""
        corners = ((left, top), (left + width, top), (left + width, top + height), (left, top + height))
        self.shape(corners, text, **look)

    def shape(self, corners: tuple, text: str = "", *, color: str = BLUE, tint: float = 0.12, round: float = 3) -> None:
        """A closed shape in a light tint of its colour, with text in its middle."""
        points = " ".join(f"{x:g},{y:g}" for x, y in corners)
        look = f'fill="{color}" fill-opacity="{tint:g}" stroke="{color}" stroke-width="1.2" stroke-linejoin="round"'
        self.parts.append(f'<polygon points="{points}" {look}/>')
        middle = [(min(values) + max(values)) / 2 for values in zip(*corners, strict=True)]
        if text:
            self.write(middle[0], middle[1] - 7.5 * text.count("\n"), text)

    def line(self, *points: tuple[float, float], color: str = INK, dashed: bool = False, head: bool = True) -> None:
        """A line through points, with the head of an arrow at its end."""
        path = "M" + "L".join(f"{x:g} {y:g}" for x, y in points)
        dashes = ' stroke-dasharray="5 3"' if dashed else ""
        self.parts.append(f'<path d="{path}" fill="none" stroke="{color}" stroke-width="1.4"{dashes}/>')
        if head:
            (x0, y0), (x, y) = points[-2:]
            dx, dy = (x > x0) - (x < x0), (y > y0) - (y < y0)
            back, side = (x - 7 * dx, y - 7 * dy), (3.5 * dy, 3.5 * dx)
            wings = f"{back[0] + side[0]:g},{back[1] + side[1]:g} {back[0] - side[0]:g},{back[1] - side[1]:g}"
            self.parts.append(f'<polygon points="{x:g},{y:g} {wings}" fill="{color}"/>')

    def arc(self, begin: tuple[float, float], end: tuple[float, float], out: float, dashed: bool) -> None:
        """A shortcut that leaves to the right, bends towards `out` and comes back."""
        (x0, y0), (x1, y1) = begin, end
        dashes = ' stroke-dasharray="4 3"' if dashed else ""
        path = f"M{x0:g} {y0:g}C{out:g} {y0:g} {out:g} {y1:g} {x1:g} {y1:g}"
        self.parts.append(f'<path d="{path}" fill="none" stroke="{ORANGE}" stroke-width="1.6"{dashes}/>')

    def pill(self, x: float, y: float, text: str, color: str = INK, width: float = 46, ground: str = GROUND) -> None:
        """A small rounded box with its middle at (x, y), which hides what is behind it."""
        height = 18 + 15 * text.count("\n")
        place = f'x="{x - width / 2:g}" y="{y - height / 2:g}" width="{width:g}" height="{height:g}" rx="9"'
        self.parts.append(f'<rect {place} fill="{ground}" stroke="{color}" stroke-width="1.2"/>')
        self.write(x, y - 7.5 * text.count("\n"), text)

    def plus(self, x: float, y: float) -> None:
        """The addition."""
        self.parts.append(
            f'<circle cx="{x:g}" cy="{y:g}" r="9" fill="{GROUND}" stroke="{ORANGE}" stroke-width="1.6"/>'
            f'<path d="M{x - 5:g} {y:g}H{x + 5:g}M{x:g} {y - 5:g}V{y + 5:g}" stroke="{ORANGE}" stroke-width="1.6"/>'
        )

    @contextmanager
    def group(self, attributes: str) -> Iterator[None]:
        """What is drawn meanwhile belongs together: a page can show or hide it."""
        self.parts.append(f"<g {attributes}>")
        yield
        self.parts.append("</g>")

    def svg(self) -> str:
        """The drawing as an SVG, as wide as its place."""
        width, height = self.size
        head = f'<svg viewBox="0 0 {width} {height}" width="100%" font-size="12" style="display: block">'
        return "\n".join([head, *self.parts, "</svg>"])


def blocks() -> Html:
    """A plain and a residual block: Figure 2, with what every layer of this book has."""
    sheet = Sheet(312, 306)
    for x, name in ((70, "plain"), (205, "residual")):
        sheet.write(x, 12, name, bold=True)
        sheet.write(x, 36, "x")
        sheet.line((x, 46), (x, 64))
        for top in (64, 150):
            sheet.box(x - 54, top, 108, 40, "3×3 convolution\nbatch norm")
        sheet.line((x, 104), (x, 150))
        sheet.pill(x, 125, "ReLU")
        sheet.line((x, 190), (x, 284))
        sheet.pill(x, 256, "ReLU")
        sheet.write(x, 295, "y")
    sheet.write(197, 205, "F(x)", "end", color=MUTED)
    sheet.line((205, 55), (288, 55), (288, 224), (214, 224), color=ORANGE)
    sheet.write(294, 134, "x", "start", color=MUTED)
    sheet.plus(205, 224)
    return picture([Panel(sheet.svg())])


def net_and_block(depths: Sequence[int]) -> str:
    """The first page's nets of section 4.2, of which the deepest is seen, each a column of blocks; beside it one block.

    A net is a group with the number of its layers in `data-layers`; what makes it residual is of the class `shortcut`.
    """
    sheet = Sheet(312, 194)
    step, left, width, top = 6.2, 30, 64, 24
    for layers in depths:
        per_stage = (layers - 2) // 6
        hidden = "" if layers == max(depths) else ' style="display: none"'
        with sheet.group(f'data-layers="{layers}"{hidden}'):
            sheet.write(left + width / 2, 8, f"{3 * per_stage} blocks", bold=True)
            for block in range(3 * per_stage):
                sheet.box(left, top + step * block, width, step - 2, tint=0.15 + 0.2 * (block // per_stage))
            with sheet.group('class="shortcut"'):
                for block in range(3 * per_stage):
                    y = top + step * block - 1
                    sheet.arc((left + width, y), (left + width, y + step), left + width + 9, dashed=False)
    x, end = 208, left + width + 12
    for near, far in ((top, 20), (top + step - 2, 166)):
        sheet.line((end, near), (x - 66, far), color=MUTED, dashed=True, head=False)
    sheet.write(x, 8, "one block", bold=True)
    sheet.line((x, 17), (x, 34))
    for y in (34, 94):
        sheet.box(x - 54, y, 108, 36, "3×3 convolution\nbatch norm")
    sheet.line((x, 70), (x, 94))
    sheet.pill(x, 80, "ReLU")
    sheet.line((x, 130), (x, 192))
    sheet.pill(x, 172, "ReLU")
    with sheet.group('class="shortcut"'):
        sheet.line((x, 24), (x + 72, 24), (x + 72, 147), (x + 9, 147), color=ORANGE)
        sheet.write(x + 78, 86, "x", "start", color=MUTED)
        sheet.plus(x, 147)
    return sheet.svg()


def options() -> Html:
    """Options A, B and C of section 3.3: the first two blocks of a stage, whose first one changes the shape."""
    projection = "1×1 convolution\nstride 2"
    kept = {
        "A: pixels and zeros": ("every 2nd pixel,\nzeros added", None),
        "B: a projection where it must be": (projection, None),
        "C: a projection everywhere": (projection, "1×1 convolution"),
    }
    panels = []
    for title, shortcuts in kept.items():
        sheet = Sheet(240, 318)
        sheet.write(64, 10, "16×32×32", color=MUTED)
        for top, shortcut, first in zip((20, 164), shortcuts, ("3×3, stride 2", "3×3"), strict=True):
            sheet.line((64, top), (64, top + 22))
            sheet.box(14, top + 22, 100, 26, first)
            sheet.line((64, top + 48), (64, top + 62))
            sheet.box(14, top + 62, 100, 26, "3×3")
            sheet.line((64, top + 88), (64, top + 101))
            sheet.line((64, top + 10), (178, top + 10), (178, top + 110), (73, top + 110), color=ORANGE)
            sheet.plus(64, top + 110)
            sheet.line((64, top + 119), (64, top + 144), head=first == "3×3")
            if shortcut:
                sheet.pill(178, top + 56, shortcut, ORANGE, width=112)
            else:
                sheet.write(186, top + 56, "x", "start", color=MUTED)
        sheet.write(72, 300, "32×16×16", "start", color=MUTED)
        sheet.write(72, 154, "32×16×16", "start", color=MUTED)
        panels.append(Panel(sheet.svg(), title))
    return picture(panels, columns=3)


def bottleneck() -> Html:
    """Two 3×3 layers on 256 channels beside a bottleneck (Figure 5): as wide as there are channels."""
    sheet = Sheet(312, 274)
    wide, narrow = 60, 15  # half of 120 and 30: four to one, as 256 to 64
    for x, name in ((70, "two 3×3 layers"), (222, "bottleneck")):
        sheet.write(x, 12, name, bold=True)
        sheet.write(x + 8, 36, "256", "start", color=MUTED)
        sheet.line((x, 28), (x, 60))
        sheet.line((x, 200), (x, 222))
        sheet.line((x, 49), (x + 78, 49), (x + 78, 231), (x + 9, 231), color=ORANGE)
        sheet.plus(x, 231)
        sheet.line((x, 240), (x, 264))
        sheet.write(x + 8, 256, "256", "start", color=MUTED)
    for top in (60, 150):
        sheet.box(10, top, 2 * wide, 50, "3×3, 256")
    sheet.line((70, 110), (70, 150))
    x = 222
    sheet.shape(((x - wide, 60), (x + wide, 60), (x + narrow, 96), (x - narrow, 96)), "1×1, 64")
    sheet.line((x, 96), (x, 112))
    sheet.box(x - narrow, 112, 2 * narrow, 36)
    sheet.write(x + narrow + 6, 130, "3×3, 64", "start")
    sheet.line((x, 148), (x, 164))
    sheet.shape(((x - narrow, 164), (x + narrow, 164), (x + wide, 200), (x - wide, 200)), "1×1, 256")
    return picture([Panel(sheet.svg())])


def cifar_net() -> Html:
    """ResNet-20 of section 4.2, block by block."""
    return whole_net([("3×3, 16", "3×32×32")], CIFAR_STAGES, "average, 10 classes")


def imagenet_net() -> Html:
    """ResNet-34 of Table 1, the net on the right of Figure 3, block by block."""
    stem = [("7×7, 64, stride 2", "3×224×224"), ("3×3 pooling, stride 2", "64×112×112")]
    return whole_net(stem, IMAGENET_STAGES, "average, 1000 classes")


def whole_net(stem: list[tuple[str, str]], stages: tuple[tuple[int, int, int], ...], head: str) -> Html:
    """A residual net from the image down: a bar for each block, an arc for each shortcut.

    Args:
        stem: what comes before the stages, each with the shape of what enters it.
        stages: channels, side of the maps and number of blocks of each.
        head: what comes after them.
    """
    bars = [(name, shape, 0.0, 0) for name, shape in stem]
    for number, (channels, side, blocks_) in enumerate(stages, start=1):
        for block in range(blocks_):
            told = f"stage {number}\n{channels}×{side}×{side}" if block == 0 else ""
            stride = ", stride 2" if block == 0 and number > 1 else ""
            bars.append((f"2 × 3×3, {channels}{stride}", told, 0.06 + 0.09 * number, 1 if stride else 2))
    bars.append((head, "", 0.0, 0))
    step, left, width, top = 28, 86, 150, 4
    sheet = Sheet(312, top + step * len(bars))
    for number, (name, told, tint, _) in enumerate(bars):
        y = top + step * number
        sheet.box(left, y, width, 20, name, color=BLUE if tint else MUTED, tint=tint)
        sheet.write(2, y + 10, told, "start", color=INK if tint else MUTED)
    middle = left + width / 2
    for number in range(len(bars) - 1):
        sheet.line((middle, top + step * number + 20), (middle, top + step * (number + 1)))
    right = left + width
    for number, (*_, shortcut) in enumerate(bars):
        if shortcut:
            begin, end = top + step * number - 4, top + step * (number + 1) - 4
            sheet.arc((right - 12, begin + 1), (right - 12, end - 1), right + 34, dashed=shortcut == 1)
    return picture([Panel(sheet.svg())])


def diagnosis() -> Html:
    """Chapter 10's questions, in the order in which they are asked, and the cases that the answers lead to."""
    sheet = Sheet(312, 350)
    questions = {
        (6, 4): "Did the loss\nstay finite?",
        (6, 84): "Is training\nerror high?",
        (186, 84): "Is the\ngap wide?",
        (6, 164): "Run it again with a\nsmall FC head.\nAre both errors\nmuch lower?",
    }
    cases = {
        (186, 4, 120): "diverged:\nlower the rate",
        (172, 194, 72): "overfits",
        (254, 194, 52): "fine",
        (6, 304, 66): "too rigid",
        (82, 304, 72): "cannot fit",
    }
    for (x, y), text in questions.items():
        sheet.box(x, y, 148 if x < 100 else 120, 78 if text.count("\n") > 1 else 44, text)
    for (x, y, width), text in cases.items():
        sheet.box(x, y, width, 44 if "\n" in text else 30, text, color=ORANGE)
    ways = [
        (((154, 26), (186, 26)), "no", (169, 17)),
        (((80, 48), (80, 84)), "yes", (86, 66)),
        (((154, 106), (186, 106)), "no", (169, 97)),
        (((80, 128), (80, 164)), "yes", (86, 146)),
        (((208, 128), (208, 194)), "yes", (214, 160)),
        (((280, 128), (280, 194)), "no", (286, 160)),
        (((39, 242), (39, 304)), "yes", (45, 272)),
        (((118, 242), (118, 304)), "no", (124, 272)),
    ]
    for points, answer, (x, y) in ways:
        sheet.line(*points)
        sheet.write(x, y, answer, "start" if points[0][0] == points[1][0] else "middle", color=MUTED)
    return picture([Panel(sheet.svg())])
