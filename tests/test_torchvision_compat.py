"""torchvision can be imported beside the torch that is installed, and is left alone where it needs no help."""

from pathlib import Path

import pytest
from samples import python


def test_data_sets_models_and_transforms_work_in_a_fresh_process() -> None:
    program = """
from resnet_lib.data.torchvision_compat import torchvision
import torch
from torchvision.transforms import v2

assert torchvision.datasets.CIFAR10.base_folder == "cifar-10-batches-py"
assert torchvision.models.resnet18().eval()(torch.zeros(1, 3, 32, 32)).shape == (1, 1000)
cropped = v2.Compose([v2.RandomCrop(32, padding=4), v2.RandomHorizontalFlip(), v2.ToDtype(torch.float32, scale=True)])
assert cropped(torch.zeros(3, 32, 32, dtype=torch.uint8)).shape == (3, 32, 32)
import torchvision as again
assert again is torchvision
"""
    done = python("-c", program)
    assert done.returncode == 0, done.stderr


def fake_torchvision(folder: Path, source: str) -> str:
    """A folder to put first on the path, with a torchvision of this source."""
    (folder / "torchvision").mkdir()
    (folder / "torchvision" / "__init__.py").write_text(source)
    return str(folder)


DECLARED = """
import sys, torch
from resnet_lib.data import torchvision_compat
print(torchvision_compat.torchvision.__file__)
print(hasattr(torchvision_compat, "declared"), hasattr(torch.ops.torchvision, "nms"))
"""


def test_where_torchvision_imports_by_itself_nothing_is_declared(tmp_path: Path) -> None:
    path = fake_torchvision(tmp_path, "")
    done = python("-c", DECLARED, PYTHONPATH=path)
    assert done.stdout.splitlines() == [f"{path}/torchvision/__init__.py", "False False"], done.stderr


def test_where_the_operators_do_not_load_they_are_declared_and_the_import_is_repeated(tmp_path: Path) -> None:
    source = """
import torch
from torchvision import part
if not hasattr(torch.ops.torchvision, "nms"):
    raise RuntimeError("operator torchvision::nms does not exist")
"""
    path = fake_torchvision(tmp_path, source)
    (tmp_path / "torchvision" / "part.py").write_text("import sys; print('part runs')")
    done = python("-c", DECLARED, PYTHONPATH=path)
    # Twice: a module left over from the failed import would be half made.
    expected = ["part runs", "part runs", f"{path}/torchvision/__init__.py", "True True"]
    assert done.stdout.splitlines() == expected, done.stderr


@pytest.mark.parametrize("error", ["RuntimeError('CUDA driver too old')", "ImportError('no torchvision')"])
def test_an_error_of_another_kind_passes_through(error: str, tmp_path: Path) -> None:
    path = fake_torchvision(tmp_path, f"raise {error}")
    done = python("-c", "import resnet_lib.data.torchvision_compat", PYTHONPATH=path)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == error.replace("('", ": ").replace("')", "")
