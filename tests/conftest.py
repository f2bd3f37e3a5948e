"""Every test has an empty cache of its own and no data but what the package brings along."""

import dataclasses
import hashlib
import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from samples import Arrays

from resnet_lib.data.sets import SOURCES
from resnet_lib.data.torchvision_compat import torchvision

torch.set_num_threads(1)  # pytest -n 2 already keeps two cores busy, and tiny nets gain nothing from a second thread


@pytest.fixture(autouse=True)
def _empty_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RESNET_LIB_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("RESNET_LIB_DATA", raising=False)
    monkeypatch.delenv("RESNET_LIB_PROGRESS", raising=False)
    monkeypatch.setenv("no_proxy", "127.0.0.1")  # a proxy of the machine's would answer in place of a closed port


# CIFAR-10, shrunk: the same code reads 50 images or 50,000.


@pytest.fixture
def arrays(monkeypatch: pytest.MonkeyPatch) -> Arrays:
    """50 + 20 random images; `cifar10` and `cifar100` expect as many."""
    for name in ("cifar10", "cifar100"):
        monkeypatch.setitem(SOURCES, name, dataclasses.replace(SOURCES[name], num_train=50, num_test=20))
    generator = np.random.default_rng(0)
    made = {}
    for split, count in (("train", 50), ("test", 20)):
        made[f"x_{split}"] = generator.integers(0, 256, (count, 32, 32, 3), dtype=np.uint8)
        made[f"y_{split}"] = generator.integers(0, 10, count, dtype=np.uint8)
    return made


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's own folder, named by RESNET_LIB_DATA."""
    path = tmp_path / "mine"
    path.mkdir()
    monkeypatch.setenv("RESNET_LIB_DATA", str(path))
    return path


LABEL_KEYS = {"cifar10": "labels", "cifar100": "fine_labels"}


@pytest.fixture
def torchvision_files(monkeypatch: pytest.MonkeyPatch) -> Callable[[Path, str, Arrays], Path]:
    """Writes a data set as its publisher does, and tells torchvision the checksums of these files."""

    def write(parent: Path, name: str, arrays: Arrays) -> Path:
        source = SOURCES[name]
        path = parent / source.files[1]
        path.mkdir(parents=True)
        published = getattr(torchvision.datasets, source.torchvision_class)

        def put(filename: str, content: object) -> str:
            (path / filename).write_bytes(pickle.dumps(content))
            return hashlib.md5((path / filename).read_bytes()).hexdigest()

        for split in ("train", "test"):
            rows = arrays[f"x_{split}"].transpose(0, 3, 1, 2).reshape(-1, 3072)  # (N, C * H * W)
            md5 = put(split, {"data": rows, LABEL_KEYS[name]: arrays[f"y_{split}"].tolist()})
            monkeypatch.setattr(published, f"{split}_list", [[split, md5]])
        key = published.meta["key"]
        monkeypatch.setattr(published, "meta", {"filename": "meta", "key": key, "md5": put("meta", {key: ["a", "b"]})})
        return path

    return write
