"""Files of torch.save, in which nothing but tensors and plain values is accepted, whoever wrote them."""

import io
import warnings
import zipfile
from typing import Any

import torch
from torch import Tensor


def load_saved(content: bytes) -> Any:
    """What torch saved. Nothing in it is run, and what it says of its size is compared with what it has.

    Raises:
        Exception: it is damaged, or holds something else. torch raises many types, and its advice is to run it: callers
            have a line of their own for it.
    """
    if zipfile.is_zipfile(file := io.BytesIO(content)):
        with zipfile.ZipFile(file) as archive:
            if sum(entry.file_size for entry in archive.infolist()) > len(content):  # torch packs nothing
                raise ValueError("it announces more than it has")
    with warnings.catch_warnings(action="ignore"):  # of the dialect of a pickle; either it can be read or not
        return torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)


def is_plain(value: Any) -> bool:
    """Whether this is a tensor of numbers in memory, each in a place of its own or not."""
    return (
        isinstance(value, Tensor)
        and value.layout is torch.strided
        and value.device.type == "cpu"
        and not (value.is_quantized or value.is_complex() or value.is_nested)
    )


def copied(value: Tensor) -> Tensor:
    """A copy that shares its memory with nothing, each number in a place of its own; all that hung on it is gone."""
    return torch.clone(torch.detach(value))
