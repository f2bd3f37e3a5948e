"""Every test has an empty cache of its own and no data but what the package brings along."""

from pathlib import Path

import pytest
import torch

torch.set_num_threads(1)  # pytest -n 2 already keeps two cores busy, and tiny nets gain nothing from a second thread


@pytest.fixture(autouse=True)
def _empty_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RESNET_LIB_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("RESNET_LIB_DATA", raising=False)
    monkeypatch.delenv("RESNET_LIB_PROGRESS", raising=False)
    monkeypatch.setenv("no_proxy", "127.0.0.1")  # a proxy of the machine's would answer in place of a closed port
