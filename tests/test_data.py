"""Data sets arrive whole or not at all."""

import dataclasses
import errno
import hashlib
import socket
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pytest
import torch
from hosts import serving
from samples import Arrays, complaint, python

from resnet_lib import data
from resnet_lib.data.download import Archive
from resnet_lib.errors import UserError
from resnet_lib.files import cache_dir, locked, writable, write_atomically

# The embedded set.


@pytest.mark.parametrize("size", [16, 32])
def test_embedded_set_loads_with_balanced_classes(size: int) -> None:
    dataset = data.load("fashion-mnist-mini", size)
    assert dataset.train_images.shape == (6000, 1, size, size)
    assert dataset.test_images.shape == (2000, 1, size, size)
    assert dataset.train_images.dtype == dataset.test_images.dtype == torch.uint8
    assert dataset.train_labels.bincount().tolist() == [600] * 10
    assert dataset.test_labels.bincount().tolist() == [200] * 10
    assert dataset.digest == "42987cb18dc454d7"  # records name it: images that change make old records incomparable


def test_no_test_image_is_also_a_training_image() -> None:
    dataset = data.load("fashion-mnist-mini", 32)
    train, test = ({image.numpy().tobytes() for image in getattr(dataset, f"{s}_images")} for s in ("train", "test"))
    assert not train & test


def test_16_pixels_are_rounded_means_over_2x2_and_28_get_a_black_border() -> None:
    small, large = (data.load("fashion-mnist-mini", size).train_images[:50].float() for size in (16, 32))
    means = torch.nn.functional.avg_pool2d(large, 2)
    assert torch.equal(small, (means + 0.5).floor())
    border = torch.ones(32, 32, dtype=torch.bool)
    border[2:-2, 2:-2] = False
    assert not large[:, :, border].any()
    assert large[:, :, 2:-2, 2:-2].any()


def test_normalized_training_images_have_mean_zero_at_every_pixel_and_unit_variance() -> None:
    dataset = data.load("fashion-mnist-mini", 16)
    images = dataset.normalize(dataset.train_images)
    assert images.dtype == torch.float32
    assert images.mean(dim=0).abs().max() < 1e-4
    assert images.std().item() == pytest.approx(1, abs=1e-4)


# CIFAR-10, shrunk: the same code reads 50 images or 50,000.


def test_an_archive_is_read_as_it_was_written(arrays: Arrays, folder: Path) -> None:
    np.savez(folder / "cifar10.npz", **arrays)
    dataset = data.load("cifar10", 32)
    for split in ("train", "test"):
        images = getattr(dataset, f"{split}_images")
        assert np.array_equal(images.permute(0, 2, 3, 1), arrays[f"x_{split}"])
        assert images.is_contiguous(memory_format=torch.channels_last)
        assert np.array_equal(getattr(dataset, f"{split}_labels"), arrays[f"y_{split}"])
    assert dataset.num_classes == 10


def test_digest_changes_with_one_pixel_and_with_one_label(arrays: Arrays, folder: Path) -> None:
    digests = set()
    for key in (None, "x_train", "y_train", "x_test", "y_test"):
        if key:
            arrays[key].flat[-1] ^= 1
        np.savez(folder / "cifar10.npz", **arrays)
        digests.add(data.load("cifar10", 32).digest)
    assert len(digests) == 5


def test_users_folder_comes_before_the_cache(arrays: Arrays, folder: Path) -> None:
    (cache_dir() / "data").mkdir(parents=True)
    cached, mine = cache_dir() / "data" / "cifar10.npz", folder / "cifar10.npz"
    assert data.locate("cifar10") is None
    np.savez(cached, **arrays)
    assert data.locate("cifar10") == cached
    np.savez(mine, **arrays)
    assert data.locate("cifar10") == mine


@pytest.mark.parametrize("name", ["cifar10", "cifar100"])
def test_torchvisions_folder_gives_the_same_data_set_as_the_archive(
    name: str, arrays: Arrays, folder: Path, torchvision_files: Callable[[Path, str, Arrays], Path]
) -> None:
    if name == "cifar100":
        arrays["y_train"][:] = np.arange(50) + 50  # of its hundred classes
    torchvision_files(folder, name, arrays)
    from_folder = data.load(name, 32)
    np.savez(folder / f"{name}.npz", **arrays)
    from_archive = data.load(name, 32)
    assert data.locate(name) == folder / f"{name}.npz"
    assert from_folder.digest == from_archive.digest
    assert torch.equal(from_folder.train_images, from_archive.train_images)
    assert torch.equal(from_folder.test_labels, from_archive.test_labels)


# Faults: each with one line that says what is wrong and what to do.


def cut_short(path: Path, _: Arrays) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def empty(path: Path, _: Arrays) -> None:
    path.write_bytes(b"")


def overwritten_inside(path: Path, arrays: Arrays) -> None:
    np.savez_compressed(path, **{key: array // 64 for key, array in arrays.items()})
    content = bytearray(path.read_bytes())
    content[100:300] = b"\xff" * 200
    path.write_bytes(content)


def a_single_array(path: Path, arrays: Arrays) -> None:
    with path.open("wb") as file:
        np.save(file, arrays["x_train"])


def not_an_archive(path: Path, _: Arrays) -> None:
    path.write_text("<html>503 Service Unavailable</html>")


def without_a_key(path: Path, arrays: Arrays) -> None:
    np.savez(path, **{key: array for key, array in arrays.items() if key != "y_test"})


def with_pickled_objects(path: Path, arrays: Arrays) -> None:
    np.savez(path, **arrays | {"y_test": np.array([{}] * 20, dtype=object)})


@pytest.mark.fault("truncated download")
@pytest.mark.parametrize(
    "damage",
    [
        cut_short,
        empty,
        overwritten_inside,
        a_single_array,
        not_an_archive,
        without_a_key,
        with_pickled_objects,
    ],
)
def test_a_damaged_archive_is_named_with_what_to_do(
    damage: Callable[[Path, Arrays], None], arrays: Arrays, folder: Path
) -> None:
    path = folder / "cifar10.npz"
    np.savez(path, **arrays)
    damage(path, arrays)
    message = complaint(lambda: data.load("cifar10", 32))
    assert message.startswith(f"{path} is truncated or damaged (")
    assert message.endswith("; replace it, or delete it to download cifar10 again")
    if damage is without_a_key:
        assert "y_test" in message


@pytest.mark.parametrize(
    ("key", "change", "wrong", "right"),
    [
        ("x_train", lambda a: a[:-1], "uint8 (49, 32, 32, 3)", "uint8 (50, 32, 32, 3)"),
        ("x_test", lambda a: a.transpose(0, 3, 1, 2), "uint8 (20, 3, 32, 32)", "uint8 (20, 32, 32, 3)"),
        ("x_test", lambda a: a.astype(np.float32), "float32 (20, 32, 32, 3)", "uint8 (20, 32, 32, 3)"),
        ("y_train", lambda a: a.astype(np.int64), "int64 (50,)", "uint8 (50,)"),
        ("y_test", lambda a: a[:, None], "uint8 (20, 1)", "uint8 (20,)"),
    ],
)
def test_a_wrong_shape_or_type_is_named_beside_the_right_one(
    key: str, change: Callable[[np.ndarray], np.ndarray], wrong: str, right: str, arrays: Arrays, folder: Path
) -> None:
    np.savez(folder / "cifar10.npz", **arrays | {key: change(arrays[key])})
    message = complaint(lambda: data.load("cifar10", 32))
    assert message == f"{folder / 'cifar10.npz'}: {key} is {wrong}; it must be {right}: replace the file"


def test_a_label_out_of_range_is_named(arrays: Arrays, folder: Path) -> None:
    arrays["y_test"][3] = 10
    np.savez(folder / "cifar10.npz", **arrays)
    message = complaint(lambda: data.load("cifar10", 32))
    assert message.startswith(f"{folder / 'cifar10.npz'}: y_test has label 10, but cifar10 has 10 classes")


def test_a_changed_file_in_torchvisions_folder_is_refused(
    arrays: Arrays, folder: Path, torchvision_files: Callable[[Path, str, Arrays], Path]
) -> None:
    path = torchvision_files(folder, "cifar10", arrays)
    cut_short(path / "test", arrays)
    message = complaint(lambda: data.load("cifar10", 32))
    assert message.startswith(f"{path} is truncated or damaged (")
    assert "delete it to download cifar10 again" in message


def test_a_missing_file_in_torchvisions_folder_is_refused(
    arrays: Arrays, folder: Path, torchvision_files: Callable[[Path, str, Arrays], Path]
) -> None:
    path = torchvision_files(folder, "cifar10", arrays)
    (path / "train").unlink()
    assert complaint(lambda: data.load("cifar10", 32)).startswith(f"{path} is truncated or damaged (")


@pytest.mark.fault("unknown name")
def test_an_unknown_name_or_size_is_refused_with_the_right_ones() -> None:
    message = complaint(lambda: data.load("cifar", 32))
    assert message.startswith("no data set is called 'cifar'; choose one of cifar10, cifar100, fashion-mnist-mini, ")
    assert message.endswith("digits, breast-cancer, wine, parity")
    for name, sizes in (("fashion-mnist-mini", "16 or 32"), ("tiny-imagenet-100", "64")):
        message = complaint(lambda name=name: data.load(name, 24))
        assert message == f"image size is 24; {name} can be had at {sizes} pixels"


# The download; hosts that fail in other ways are in test_download.py. Only the loopback interface is used.


def served_from(monkeypatch: pytest.MonkeyPatch, content: bytes, url: str) -> None:
    archive = Archive("cifar.tar.gz", len(content), hashlib.sha256(content).hexdigest(), [url])
    monkeypatch.setitem(data.SOURCES, "cifar10", dataclasses.replace(data.SOURCES["cifar10"], archive=archive))


@pytest.mark.fault("truncated download")
def test_without_network_the_message_says_how_to_bring_the_file(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    served_from(monkeypatch, b"x" * 7_000_000, f"http://127.0.0.1:{port}/cifar.tar.gz")
    message = complaint(lambda: data.load("cifar10", 32))
    assert message.startswith(f"CIFAR-10 could not be downloaded (127.0.0.1:{port}: ")
    assert message.endswith(data.how_to_bring("cifar10"))
    assert "RESNET_LIB_DATA" in data.how_to_bring("cifar10")
    announced = capsys.readouterr().err  # before the wait, not after it
    assert "downloading 7 MB" in announced
    assert data.how_to_bring("cifar10") in announced
    assert data.locate("cifar10") is None


def test_what_was_downloaded_is_unpacked_and_read_and_said_to_come_from_its_host(
    arrays: Arrays,
    tmp_path: Path,
    torchvision_files: Callable[[Path, str, Arrays], Path],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    with tarfile.open(tmp_path / "x.tar.gz", "w:gz") as archive:
        archive.add(torchvision_files(tmp_path, "cifar10", arrays), "cifar-10-batches-py")
    with serving(content := (tmp_path / "x.tar.gz").read_bytes()) as host:
        served_from(monkeypatch, content, host.url)
        dataset = data.load("cifar10", 32)
    assert np.array_equal(dataset.train_images.permute(0, 2, 3, 1), arrays["x_train"])
    assert f"CIFAR-10 came from {host.name}, with the publisher's checksum" in capsys.readouterr().err
    left = {path.name for path in (cache_dir() / "data").rglob("*") if path.parent.name != "cifar-10-batches-py"}
    assert left <= {"cifar-10-batches-py", "downloads", "cifar10.lock"}


# Files: what is on disk is whole.


@pytest.mark.fault("no cache to write to")
def test_a_cache_that_cannot_be_written_to_is_named_with_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("RESNET_LIB_CACHE", str(tmp_path / "file" / "cache"))
    for call in (
        lambda: data.load("cifar10", 32),
        lambda: writable(cache_dir()),
        lambda: write_atomically(cache_dir() / "x", lambda file: file.write(b"x")),
    ):
        message = complaint(call)
        assert message.startswith(f"cannot write to {cache_dir()}")
        assert message.endswith("set RESNET_LIB_CACHE to a folder you can write to, with space left")


@pytest.mark.fault("no cache to write to")
def test_a_read_only_folder_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(dir: Path) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr("tempfile.TemporaryFile", refuse)  # a test that runs as root could write anywhere
    assert complaint(lambda: writable(tmp_path)).startswith(f"cannot write to {tmp_path} (Permission denied)")


@pytest.mark.fault("killed process")
def test_a_process_that_dies_while_writing_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "record.json"
    path.write_bytes(b"old")
    program = f"""
import os
from pathlib import Path
from resnet_lib.files import write_atomically

def write(file):
    file.write(b"new, but only ha")
    file.flush()
    os._exit(9)

write_atomically(Path({str(path)!r}), write)
"""
    assert python("-c", program).returncode == 9
    assert path.read_bytes() == b"old"
    assert list(tmp_path.glob("*.json")) == [path]


@pytest.mark.fault("full disk")
@pytest.mark.parametrize("before", [None, b"old"])
def test_a_full_disk_leaves_no_half_written_file(tmp_path: Path, before: bytes | None) -> None:
    path = tmp_path / "weights.pt"
    if before is not None:
        path.write_bytes(before)

    def write(file: BinaryIO) -> None:
        file.write(b"half")
        raise OSError(errno.ENOSPC, "No space left on device")

    message = complaint(lambda: write_atomically(path, write))
    assert message == f"cannot write {path} (No space left on device); free some space and repeat"
    assert [file.read_bytes() for file in tmp_path.iterdir() if file.is_file()] == ([] if before is None else [before])


def test_an_interrupt_while_writing_leaves_no_partial_file(tmp_path: Path) -> None:
    def write(_: BinaryIO) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_atomically(tmp_path / "x", write)
    assert not list(tmp_path.iterdir())


def test_a_written_file_replaces_the_old_one_and_others_may_read_it(tmp_path: Path) -> None:
    path = tmp_path / "folder" / "x"
    for content in (b"old, and longer", b"new"):
        write_atomically(path, lambda file, content=content: file.write(content))
    assert path.read_bytes() == b"new"
    assert path.stat().st_mode & 0o044 == 0o044
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.fault("two processes sharing the cache")
def test_a_run_is_locked_against_a_second_trainer_until_the_first_is_done(tmp_path: Path) -> None:
    path = tmp_path / "plain-8.lock"
    with locked(path), pytest.raises(UserError, match="plain-8 is being trained by another process"), locked(path):
        pass
    with locked(path):
        pass


def test_the_cache_is_where_the_environment_says(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert cache_dir() == tmp_path / "cache"
    monkeypatch.delenv("RESNET_LIB_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert cache_dir() == tmp_path / "xdg" / "resnet_lib"
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert cache_dir() == Path.home() / ".cache" / "resnet_lib"
