"""How figures and drawings look on a page: panels that stand side by side or stack, in colours that follow its theme.

A picture is HTML with an SVG for each panel, so that a phone shows the panels one below the other, at a size at which
they can be read. Colours are variables of the page's style sheet (book/_static/custom.css), with what to take where
there is none: a notebook, on Colab say, shows dark lines on a white ground whatever its own theme is.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from resnet_lib.display import Html

# Colours of what is drawn -> what a page's theme calls them. All others are the same on light and dark ground.
THEME = {
    "#000000": "ink",
    "#ffffff": "ground",
    "#595959": "muted",
    "#b0b0b0": "faint",
    "#0072b2": "blue",
}
WIDTHS = {1: 312, 2: 312, 3: 240}  # panels side by side -> width of each, in its own units; text has 11 or more
LEAST = {1: 300, 2: 300, 3: 230}  # pixels of a panel below which the next one goes into a row of its own
MOST = 400  # pixels of a panel: its text is then as large as the page's


@dataclass(frozen=True)
class Panel:
    """One part of a picture: an SVG in plain colours, and above it a title and what the vertical axis measures."""

    svg: str
    title: str = ""
    measured: str = ""


def themed(svg: str) -> str:
    """An SVG whose colours follow the theme of the page that it is part of."""
    for color, name in THEME.items():
        svg = svg.replace(color, f"var(--picture-{name}, {color})")
    return svg


def picture(
    panels: Sequence[Panel],
    columns: int = 1,
    *,
    headline: str = "",
    key: Sequence[tuple[str, str]] = (),
    footer: str = "",
    runs: str = "",
) -> Html:
    """A picture for a notebook and for a page, where tools/book/extensions/pictures.py adds its alternative text.

    Args:
        panels: in order, row by row.
        columns: how many of them stand side by side where there is room.
        headline: the picture's message.
        key: what a small SVG, such as a piece of a line, stands for.
        footer: what is shown, and what was run.
        runs: `display.runs_line` of the runs shown.
    """
    entries = [f'<li style="white-space: nowrap">{themed(mark)} {escape(what)}</li>' for mark, what in key]
    shown = [
        f'<div style="max-width: {MOST}px">'
        + "".join(
            f'<p class="{kind}" style="margin: 0">{escape(text)}</p>'
            for kind, text in (("panel", panel.title), ("measured", panel.measured and f"↑ {panel.measured}"))
            if text
        )
        + f"\n{themed(panel.svg)}</div>"
        for panel in panels
    ]
    # Of one width in all rows, a last one that is not full included: so their text is of one size, too.
    width = f"max({LEAST[columns]}px, (100% - {8 * (columns - 1) + 1}px) / {columns})"
    style = (
        f"display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, {width}), 1fr)); gap: 8px; "
        f"max-width: {columns * (MOST + 8)}px"
    )
    parts = [
        f'<p class="headline">{escape(headline)}</p>' if headline else "",
        f'<ul class="key" style="padding: 0; list-style: none">{"".join(entries)}</ul>' if key else "",
        f'<div class="panels" style="{style}">\n' + "\n".join(shown) + "\n</div>",
        f'<p class="footer">{escape(footer)}</p>' if footer else "",
        runs,
    ]
    ground = "background: var(--picture-ground, #ffffff); color: var(--picture-ink, #000000)"
    return Html(f'<div class="picture" style="{ground}">\n' + "\n".join(filter(None, parts)) + "\n</div>")
