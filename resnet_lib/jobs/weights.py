"""Trained weights in a file: read, and held to be those of a net, before anything is made of them."""

import hashlib
from pathlib import Path

import safetensors.torch
import torch
from torch import Tensor

from resnet_lib import data
from resnet_lib.data.tabular import TABULAR
from resnet_lib.errors import UserError, reason
from resnet_lib.files import boundary, read_regular
from resnet_lib.nets.build import build
from resnet_lib.nets.probes import conv3x3_layers
from resnet_lib.runs.config import RunConfig
from resnet_lib.runs.records import RunRecord


def digest(content: bytes) -> str:
    """SHA-256 in hexadecimal digits, as a record has that of its weights."""
    return hashlib.sha256(content).hexdigest()


def read(path: Path, config: RunConfig) -> dict[str, Tensor]:
    """The weights of a run's net from a safetensors file.

    Raises:
        UserError: it cannot be read, or its content is not such weights.
    """
    with boundary(lambda reason: f"{path}: cannot be read as weights ({reason}); delete it and train again"):
        content = read_regular(path)
        problem = problem_of_weights(content, config)
    if problem:
        raise UserError(f"{path}: {problem}; delete it and train again")
    return safetensors.torch.load(content)


def problem_of_run(record: RunRecord) -> str | None:
    """Why no run can have left this record, or None: the library has no such data, or there is no such net."""
    config = record.config
    name, size = config.data.name, config.data.image_size
    if name in data.SOURCES:
        source = data.SOURCES[name]
        sizes, num_train = source.image_sizes, source.num_train
    elif name in TABULAR:
        sizes, num_train = (TABULAR[name].image_size,), None
    elif name == "imagenet" or name.startswith("folder-"):
        sizes, num_train = (size,), None
    else:
        return f"config.data.name: no data set is called {name!r}"
    if size not in sizes:
        return f"config.data.image_size: {name} has no images of {size} pixels"
    if num_train is not None and (config.data.num_train or 0) + config.data.validation > num_train:
        return f"config.data: {name} has only {num_train} training images"
    try:
        net = meta_net(config)
        layers = tuple(layer for layer, _, _ in conv3x3_layers(net))
    except Exception as error:  # of torch's for what is too large, of ours for a depth that does not exist
        return f"config.net: there is no such net ({reason(error)})"
    for probes in (record.probes, *record.probes_on_the_way):
        if probes is not None and probes.layer != layers:
            return f"probes.layer: these are not the layers of {config.net.name}"
    return None


def meta_net(config: RunConfig) -> torch.nn.Module:
    """The net of a run without memory for its weights."""
    channels, classes = 3, 1000
    if config.data.name in data.SOURCES:
        source = data.SOURCES[config.data.name]
        channels, classes = source.shape[2], source.num_classes
    with torch.device("meta"):
        return build(config.net, channels, classes, config.data.image_size)


def most_bytes(config: RunConfig) -> int:
    """How large a file of the weights of this run's net can be: its numbers, and room for their names."""
    state = meta_net(config).state_dict()
    return sum(value.numel() * value.element_size() for value in state.values()) + 1000 * len(state) + 10_000


def problem_of_weights(content: bytes, config: RunConfig) -> str | None:
    """What keeps a safetensors file from being the trained weights of this run's net, or None."""
    try:
        found = safetensors.torch.load(content)
    except Exception as error:  # its reader is in Rust, and types that torch does not have are a KeyError
        return f"no safetensors file ({reason(error)})"

    def described(tensors: dict[str, Tensor]) -> dict[str, tuple]:
        return {name: (tuple(tensor.shape), tensor.dtype) for name, tensor in tensors.items()}

    wanted, given = described(meta_net(config).state_dict()), described(found)
    wrong = sorted(name for name in wanted.keys() | given.keys() if wanted.get(name) != given.get(name))
    if wrong:
        return f"not the weights of {config.net.name}: {wrong[0]} is missing, superfluous or of another shape"
    if unfinite := [name for name, tensor in found.items() if not tensor.float().isfinite().all()]:
        return f"{unfinite[0]} is not finite"
    return None
