"""Small data sets that come with scikit-learn, or are made from a rule: features instead of natural images."""

from dataclasses import dataclass

import numpy as np

TEST_SHARE = 0.3
RULE_FEATURES, RULE_ROWS = 8, 4000


@dataclass(frozen=True)
class TabularSource:
    """A data set: its title, the side of its images in pixels (1: a row of features), and its number of classes."""

    title: str
    image_size: int
    num_classes: int


TABULAR = {
    "digits": TabularSource("scikit-learn's digits, 1,797 handwritten ones at 8 x 8 pixels", 8, 10),
    "breast-cancer": TabularSource("scikit-learn's breast cancer set, 569 rows of 30 features", 1, 2),
    "wine": TabularSource("scikit-learn's wine set, 178 rows of 13 features", 1, 3),
    "parity": TabularSource("rows of 8 random features whose class is the parity of three signs", 1, 2),
}


def parity_rule() -> tuple[np.ndarray, np.ndarray]:
    """Features uniform in [-1, 1]; class 1 if an odd number of the first three is positive. No linear rule sees it."""
    features = np.random.default_rng(0).uniform(-1, 1, (RULE_ROWS, RULE_FEATURES)).astype(np.float32)
    return features, (features[:, :3] > 0).sum(axis=1) % 2


def read(name: str) -> dict[str, np.ndarray]:
    """Arrays `x_train`, `y_train`, `x_test`, `y_test`: x (N, H, W, C), y uint8; split once and for all, stratified."""
    from sklearn import datasets  # here, since most who import this module never read such a set, and it takes a while
    from sklearn.model_selection import train_test_split

    if name == "parity":
        x, y = parity_rule()
    else:
        bunch = getattr(datasets, f"load_{name.replace('-', '_')}")()
        x, y = bunch.data, bunch.target
    size = TABULAR[name].image_size
    x = x.reshape(len(x), size, size, -1).astype(np.uint8 if size > 1 else np.float32)
    parts = train_test_split(x, y.astype(np.uint8), test_size=TEST_SHARE, random_state=0, stratify=y)
    return dict(zip(("x_train", "x_test", "y_train", "y_test"), parts, strict=True))
