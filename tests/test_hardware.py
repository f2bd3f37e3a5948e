"""A device that cannot train is refused."""

import pytest

from resnet_lib.errors import UserError
from resnet_lib.training import Hardware


@pytest.mark.parametrize("device", ["cuda:99", "gpu", "meta", "hpu"])
def test_a_device_that_cannot_train_here_is_refused(device: str) -> None:
    with pytest.raises(UserError) as caught:
        Hardware.choose(device)
    message = str(caught.value)
    assert "\n" not in message
    assert message.startswith(f"device '{device}' cannot be used here (")
