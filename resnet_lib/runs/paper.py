"""The published numbers of `paper.yml`."""

from functools import cache
from typing import Any

import yaml

from resnet_lib.files import PACKAGE


@cache
def paper() -> dict[str, Any]:
    """All of `paper.yml`: facts with their sources in its comments."""
    return yaml.safe_load((PACKAGE / "runs" / "paper.yml").read_text(encoding="utf-8"))


def paper_table(number: int) -> dict[str, Any]:
    """A table of the paper, row by row, as `paper.yml` has it: its comments say what a row's numbers are."""
    return next(rows for key, rows in paper()["paper"].items() if key.startswith(f"table{number}"))


def table6_error(depth: int) -> str | None:
    """CIFAR-10 test error in percent of the residual net of this depth, as Table 6 prints it; None if it has no row."""
    row = paper_table(6).get(f"ResNet-{depth}")
    return None if row is None else str(row[2])


def figure6_error(kind: str, depth: int, curve: str) -> float | None:
    """End of a curve of Figure 6, read off the vector drawing and not printed by the authors.

    Args:
        kind: "plain" or "resnet".
        depth: 20, 32, 44, 56 (and 110, 1202 for residual nets).
        curve: "test" for the last test error, "train" for the mean training error after 55,000 iterations.
    """
    key = {"test": "fig6_last_test", "train": "fig6_mean_train_after_55k"}[curve]
    values = paper()["paper"]["digitized_from_vector_curves"][key]
    return values.get(f"{'plain' if kind == 'plain' else 'res'}{depth}")


def figure7_response(kind: str, depth: int) -> tuple[float, float]:
    """Mean and median over 3x3 layers of a curve of Figure 7, read off the vector drawing; kinds as in Figure 6."""
    drawn = paper()["paper"]["digitized_from_vector_curves"]["fig7_std_mean_median"]
    return tuple(drawn[f"{'plain' if kind == 'plain' else 'res'}{depth}"])


def table1_error(depth: int, shortcut: str) -> float:
    """ImageNet top-1 error of a net of Table 1, 10-crop, in percent: from Table 2, with options B and C from Table 3.

    Raises:
        KeyError: the paper has no such net.
    """
    if shortcut in ("none", "A"):
        return paper_table(2)[f"{'plain' if shortcut == 'none' else 'resnet'}{depth}"]
    return paper_table(3)[f"ResNet-{depth} {shortcut}" if depth == 34 else f"ResNet-{depth}"][0]


def table6_mean(depth: int) -> float | None:
    """Test error in percent of Table 6 as one number: the mean of five runs at 110 layers, else the one printed.

    The paper prints the best of the five beside their mean; a mean over seeds is fairly compared with a mean.
    """
    text = table6_error(depth)
    return None if text is None else float(text.partition("(")[2].partition("±")[0] or text)


def figure4_error(kind: str, depth: int, curve: str) -> float:
    """End of a curve of Figure 4 (ImageNet), read off the vector drawing and not printed by the authors.

    Args:
        kind: "plain" or "resnet".
        depth: 18 or 34.
        curve: "validation" for the last centre-crop error, "train" for the mean training error after 500,000
            iterations.
    """
    key = {"validation": "fig4_last_val_center_crop", "train": "fig4_mean_train_after_500k"}[curve]
    values = paper()["paper"]["digitized_from_vector_curves"][key]
    return values[f"{'plain' if kind == 'plain' else 'res'}{depth}"]
