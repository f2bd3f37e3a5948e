"""What goes wrong on real machines: nothing is lost, no half file is taken for whole, one line says what to do.

Tests elsewhere that belong to a fault carry the mark `fault` with its name; `pytest -m fault` runs them all.
"""

import ast
import errno
import os
import re
import time
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPMessage
from io import BytesIO
from pathlib import Path

import pytest
import torch
from samples import complaint, measured, refuse_more_than, tiny_config, tiny_dataset
from torch import Tensor, nn

from book import ROOT
from resnet_lib import data, training
from resnet_lib.cli import main
from resnet_lib.data import sets
from resnet_lib.data.download import Archive
from resnet_lib.data.torchvision_compat import torchvision
from resnet_lib.errors import UserError
from resnet_lib.nets import probes
from resnet_lib.nets.models import ImageNetNet
from resnet_lib.training import protocols
from resnet_lib.training.checkpoints import contents
from resnet_lib.training.hardware import Hardware
from resnet_lib.training.loop import train
from resnet_lib.training.memory import told_when_memory_is_short

FAULTS = (
    "truncated download",
    "full disk",
    "killed process",
    "two processes sharing the cache",
    "no cache to write to",
    "old record schema",
    "file from a stranger",
    "tampered record",
    "code or data changed on the way",
    "progress that cannot be told",
    "bad image",
    "GPU out of memory",
    "loss that is not finite",
    "unknown name",
    "notebook run from another folder",
)

CPU = torch.device("cpu")
FP32 = Hardware(CPU, "fp32", compiled=False)


# The list.


def marks(path: Path) -> list[str]:
    """The faults that the tests of a file are marked with."""
    functions = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.FunctionDef)]
    decorators = [d for f in functions if f.name.startswith("test_") for d in f.decorator_list]
    calls = [d for d in decorators if isinstance(d, ast.Call)]
    return [ast.literal_eval(c.args[0]) for c in calls if ast.unparse(c.func) == "pytest.mark.fault"]


def test_every_fault_has_tests_and_no_test_is_of_another() -> None:
    found = {name for path in Path(__file__).parent.rglob("test_*.py") for name in marks(path)}
    assert found == set(FAULTS)


def test_readme_lists_the_faults_and_their_number() -> None:
    text = (ROOT / "README.md").read_text().partition("## When something goes wrong\n")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| (.+?) +\|", text, re.MULTILINE)
    assert tuple(rows[1:]) == FAULTS
    assert f"{len(FAULTS)} faults" in text


# A GPU's memory is full. A net that refuses large batches stands for it.


@pytest.mark.fault("GPU out of memory")
@pytest.mark.parametrize(("most", "fits"), [(31, 16), (16, 16), (15, 8), (1, 1)])
def test_training_says_which_batch_fits(most: int, fits: int, monkeypatch: pytest.MonkeyPatch) -> None:
    taken = refuse_more_than(most, monkeypatch)
    message = complaint(lambda: train(tiny_config(), tiny_dataset(), FP32))
    assert message.startswith(
        f"{tiny_config().name}: 32 images at once need more memory than the GPU has free; {fits} "
    )
    assert f"fit, as a trial shows: take batch_size {fits}, or {32 // fits} parts of this one" in message
    assert "), free some of its memory, or use the CPU (device cpu)" in message
    assert taken == [fits], "the message says what was tried"


@pytest.mark.fault("GPU out of memory")
def test_training_says_when_not_even_one_image_fits(monkeypatch: pytest.MonkeyPatch) -> None:
    refuse_more_than(0, monkeypatch)
    assert "GPU has free; not even one fits: free some" in complaint(lambda: train(tiny_config(), tiny_dataset(), FP32))


@pytest.mark.fault("GPU out of memory")
def test_memory_that_runs_out_on_the_way_leaves_the_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    checkpoint = tmp_path / "run.pt"
    record, _ = train(tiny_config(), tiny_dataset(), FP32)

    def fill(progress: training.Progress) -> None:
        refuse_more_than(31, monkeypatch)  # another process has taken it

    options = {"checkpoint": checkpoint, "checkpoint_every": 0}
    assert "16 fit" in complaint(lambda: train(tiny_config(), tiny_dataset(), FP32, progress=fill, **options))
    monkeypatch.undo()
    assert contents(checkpoint)["course"]["iteration"] == 5
    again, _ = train(tiny_config(), tiny_dataset(), FP32, checkpoint=checkpoint)
    assert measured(again) == measured(record)


@pytest.mark.fault("GPU out of memory")
def test_what_a_failed_attempt_kept_is_let_go_before_the_next() -> None:
    alive: set[int] = set()

    class Kept:
        def __init__(self) -> None:
            alive.add(id(self))

        def __del__(self) -> None:
            alive.discard(id(self))

    def attempt(size: int) -> None:
        kept = Kept()
        if size > 2:
            raise torch.OutOfMemoryError("full")
        assert alive == {id(kept)}

    with pytest.raises(UserError, match="2 fit"), told_when_memory_is_short("a net", 8, attempt, str):
        attempt(8)


@pytest.mark.fault("GPU out of memory")
def test_evaluation_takes_fewer_images_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    net = training.build(tiny_config().net, 1, 10, 16)
    expected = training.evaluate(net, tiny_dataset(), "test", FP32)
    taken = refuse_more_than(100, monkeypatch)
    assert training.evaluate(net, tiny_dataset(), "test", FP32)[:2] == pytest.approx(expected[:2])
    assert (max(taken), sum(taken)) == (100, 700)
    refuse_more_than(0, monkeypatch)
    message = complaint(lambda: training.evaluate(net, tiny_dataset(), "test", FP32))
    assert message.startswith("the GPU has no memory free for even one image; free some")


@pytest.mark.fault("GPU out of memory")
def test_scores_are_the_same_in_halves(monkeypatch: pytest.MonkeyPatch) -> None:
    net = ImageNetNet(18, "A", num_classes=3).eval()
    views = [torch.randint(0, 256, (3, 2, 3, 32, 32), dtype=torch.uint8)]
    expected = protocols.scores(net, views)
    taken = refuse_more_than(2, monkeypatch, ImageNetNet)
    assert torch.allclose(protocols.scores(net, views), expected, atol=1e-6)
    assert max(taken) <= 2


@pytest.mark.fault("GPU out of memory")
def test_probes_go_to_the_cpu_and_the_run_is_not_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    expected, _ = train(tiny_config(), tiny_dataset(), FP32)
    measure, calls = probes.gradient_norms, []

    def full_at_first(net: nn.Module, images: Tensor, labels: Tensor) -> list[float]:
        calls.append(images.device)
        if len(calls) == 1:
            raise torch.OutOfMemoryError("full")
        return measure(net, images, labels)

    monkeypatch.setattr(probes, "gradient_norms", full_at_first)
    record, _ = train(tiny_config(), tiny_dataset(), FP32)
    assert len(calls) == 2
    assert record.probes == expected.probes


@pytest.mark.fault("GPU out of memory")
def test_wherever_memory_runs_out_the_command_takes_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(*_: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory.\nGPU 0 has ...")

    monkeypatch.setattr("resnet_lib.speed.bench.seconds_per_cost", full)
    assert main(["status"]) == 2
    assert capsys.readouterr().err == "resnet_lib: the GPU's memory is full; free some of it, or add --device cpu\n"


# Files.


@pytest.mark.fault("full disk")
def test_a_disk_that_fills_up_leaves_the_checkpoint_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    checkpoint, flush, flushed = tmp_path / "run.pt", os.fsync, []

    def full(descriptor: int) -> None:
        flushed.append(descriptor)
        if len(flushed) == 4:
            raise OSError(errno.ENOSPC, "No space left on device")
        flush(descriptor)

    monkeypatch.setattr(os, "fsync", full)
    message = complaint(lambda: train(tiny_config(), tiny_dataset(), FP32, checkpoint=checkpoint, checkpoint_every=0))
    assert message == f"cannot write {checkpoint} (No space left on device); free some space and repeat"
    assert contents(checkpoint)["course"]["iteration"] == 3
    assert list(tmp_path.iterdir()) == [checkpoint]
    record, _ = train(tiny_config(), tiny_dataset(), FP32, checkpoint=checkpoint)
    assert measured(record) == measured(train(tiny_config(), tiny_dataset(), FP32)[0])


class Server:
    """What urlopen gives: a file that is shorter than it says."""

    def __init__(self, *_: object, **__: object) -> None:
        self.body, self.headers = BytesIO(b"half a file of weights"), HTTPMessage()
        self.headers["Content-Length"] = "1000"
        self.read, self.info = self.body.read, lambda: self.headers

    def __enter__(self) -> "Server":
        return self

    def __exit__(self, *_: object) -> None:
        pass


@pytest.mark.fault("truncated download")
def test_weights_whose_download_breaks_off_are_not_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.hub, "urlopen", Server)
    message = complaint(lambda: protocols.load_net("torchvision:resnet18", tmp_path / "weights"))
    assert re.search(r"could not be downloaded \(invalid hash value .*; put it into ", message)
    assert not list((tmp_path / "weights").iterdir())


class SlowDownload:
    """Stands for what brings the archive, and for what unpacks it into a folder, file by file."""

    made = 0

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(sets, "download", self.download)
        monkeypatch.setattr(torchvision.datasets.utils, "extract_archive", self.unpack)

    def download(self, archive: Archive, path: Path) -> str:
        self.made += 1
        path.parent.mkdir()
        path.touch()
        return "somewhere"

    def unpack(self, packed: str, root: str) -> None:
        folder = Path(root, "cifar-10-batches-py")
        folder.mkdir(parents=True)
        for number in range(3):
            time.sleep(0.1)
            (folder / f"data_batch_{number}").touch()


@pytest.mark.fault("two processes sharing the cache")
def test_a_data_set_is_downloaded_once_and_seen_when_it_is_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    slow = SlowDownload(monkeypatch)
    with ThreadPoolExecutor(2) as pool:
        fetching = [pool.submit(data.fetch, "cifar10") for _ in range(2)]
        while not all(future.done() for future in fetching):
            if seen := data.locate("cifar10"):
                assert len(list(seen.iterdir())) == 3
    (folder,) = {future.result() for future in fetching}
    assert slow.made == 1
    assert folder == data.locate("cifar10")


@pytest.mark.fault("killed process")
def test_what_a_killed_download_left_is_cleared_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    SlowDownload(monkeypatch)
    left = tmp_path / "cache" / "data" / "cifar10.partial" / "cifar-10-batches-py"
    left.mkdir(parents=True)
    (left / "half").touch()
    assert data.locate("cifar10") is None
    assert sorted(path.name for path in data.fetch("cifar10").iterdir()) == [f"data_batch_{n}" for n in range(3)]
    assert not left.parent.exists()
