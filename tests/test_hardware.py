"""A device that cannot train is refused, and a CPU's memory comes in large pages."""

import re
from pathlib import Path

import pytest
from samples import python

from resnet_lib.errors import UserError
from resnet_lib.training import Hardware


@pytest.mark.parametrize("device", ["cuda:99", "gpu", "meta", "hpu"])
def test_a_device_that_cannot_train_here_is_refused(device: str) -> None:
    with pytest.raises(UserError) as caught:
        Hardware.choose(device)
    message = str(caught.value)
    assert "\n" not in message
    assert message.startswith(f"device '{device}' cannot be used here (")


LARGE_PAGES = Path("/sys/kernel/mm/transparent_hugepage/enabled")


@pytest.mark.skipif(
    not LARGE_PAGES.is_file() or "[never]" in LARGE_PAGES.read_text(), reason="this system has no large pages"
)
def test_large_tensors_have_large_pages() -> None:
    program = (
        "import pathlib, torch, resnet_lib.training\n"
        "tensor = torch.ones(2**26)  # 262,144 kB\n"
        "print(pathlib.Path('/proc/self/smaps_rollup').read_text())"
    )
    found = re.search(r"AnonHugePages: +(\d+) kB", python("-c", program).stdout)
    assert int(found[1]) > 200_000
