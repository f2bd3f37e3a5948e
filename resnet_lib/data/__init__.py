"""Data sets as tensors: where they are found, how they are read, how batches are drawn and augmented."""

from resnet_lib.data.batches import Epoch, augment
from resnet_lib.data.sets import (
    SOURCES,
    Dataset,
    Source,
    centred,
    data_dirs,
    fetch,
    how_to_bring,
    load,
    locate,
    split,
    subtract,
)

__all__ = [
    "SOURCES",
    "Dataset",
    "Epoch",
    "Source",
    "augment",
    "centred",
    "data_dirs",
    "fetch",
    "how_to_bring",
    "load",
    "locate",
    "split",
    "subtract",
]
