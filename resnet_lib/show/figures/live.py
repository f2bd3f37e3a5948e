"""Figures of what a live cell has computed; no run has a part in them."""

from collections.abc import Sequence

import numpy as np

from resnet_lib.runs.settings import Setting
from resnet_lib.show.figures.canvas import BLUE, GREEN, ORANGE, Figure, kind_color, log_axis, new_figure, styled


@styled
def lines(
    values: dict[str, Sequence[float]], x: str, y: str, title: str, *, start: int = 0, log: bool = False
) -> Figure:
    """Lines of numbers that a live cell has made, such as learning rates by iteration.

    Args:
        values: name -> numbers; the first is blue, the second orange.
        x, y: the axes' names, with units.
        title: the figure's message.
        start: where the horizontal axis begins to count.
        log: a logarithmic vertical axis.
    """
    figure, (axes,) = new_figure()
    looks = ((BLUE, 6), (ORANGE, 3), (GREEN, 1.2), ("#000000", 0.6))  # of two that are equal both are seen
    for (name, numbers), (color, width) in zip(values.items(), looks, strict=False):
        axes.plot(range(start, start + len(numbers)), numbers, color=color, lw=width, label=name)
    axes.set(xlabel=x, ylabel=y, title=title)
    if log:
        log_axis(axes)
    axes.legend()
    return figure


@styled
def parity(features: np.ndarray, labels: np.ndarray) -> Figure:
    """The parity rule of `tabular`: its first two features, once with the third negative and once with it positive.

    Args:
        features: (N, F), F at least 3; the first 500 rows are drawn.
        labels: (N,), 0 or 1.
    """
    features, labels = features[:500], labels[:500]
    figure, all_axes = new_figure(2)
    for axes, title, chosen in (
        (all_axes[0], "third feature negative", features[:, 2] <= 0),
        (all_axes[1], "third feature positive", features[:, 2] > 0),
    ):
        for label, color, marker in ((0, BLUE, "o"), (1, ORANGE, "x")):
            x, y = features[chosen & (labels == label), :2].T
            axes.plot(x, y, marker, color=color, ms=4, label=f"class {label}")
        axes.set(title=title, xlabel="first feature", aspect="equal")
    all_axes[0].set_ylabel("second feature")
    figure.legend(*all_axes[0].get_legend_handles_labels(), loc="outside right upper")
    figure.headline("No straight line separates the classes")
    return figure


@styled
def gradient_shares(maps: dict[Setting, np.ndarray], reach: int) -> Figure:
    """Share of a gradient inside squares around the centre against their side, one line per net.

    Args:
        maps: setting -> absolute gradient (H, W), square, with an odd side; see `geometry.gradient_map`.
        reach: the side of the receptive field in pixels.
    """
    figure, (axes,) = new_figure()
    for setting, gradient in maps.items():
        middle = gradient.shape[0] // 2
        sides = range(1, gradient.shape[0] + 1, 4)
        whole = float(gradient.sum())
        squares = [slice(max(0, middle - side // 2), middle + side // 2 + 1) for side in sides]
        shares = [100 * float(gradient[square, square].sum()) / whole for square in squares]
        axes.plot(sides, shares, color=kind_color(setting.net), lw=2, label=setting.name)
    axes.axvline(reach, color="0.35", ls=":", lw=1.5)
    axes.annotate("all that it can see", (reach, 8), ha="right", xytext=(-4, 0), textcoords="offset points")
    axes.set(xlabel="side of the square (pixels)", ylabel="share of the gradient (%)", ylim=(0, 102))
    axes.set_title("Most of what a position sees lies near the middle")
    axes.legend(loc="upper left")
    return figure
