"""The published numbers of `paper.yml`."""

from functools import cache
from typing import Any

import yaml

from resnet_lib.files import PACKAGE


@cache
def paper() -> dict[str, Any]:
    """All of `paper.yml`: facts with their sources in its comments."""
    return yaml.safe_load((PACKAGE / "paper.yml").read_text(encoding="utf-8"))


def table6_error(depth: int) -> str | None:
    """CIFAR-10 test error in percent of the residual net of this depth, as Table 6 prints it; None if it has no row."""
    rows = paper()["paper"]["table6_cifar10"]
    row = rows.get(f"ResNet-{depth}")
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
