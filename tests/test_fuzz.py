"""Whatever stands in a file of a stranger's, it is loaded whole or refused in one line that names the file.

Valid files are changed in their structure, not only in their bytes. `RESNET_LIB_FUZZ=20 pytest tests/test_fuzz.py`
tries twenty times as many, drawn anew each time, and says how many of each kind it tried.
"""

import io
import json
import os
import struct
import subprocess
import warnings
import zipfile
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from samples import Arrays, made_up_record, made_up_study, tiny_config, tiny_dataset
from test_tiny_imagenet import publish, scaled
from torch import Tensor

from resnet_lib import data
from resnet_lib.data.sets import SOURCES
from resnet_lib.errors import UserError
from resnet_lib.evidence import challenges
from resnet_lib.evidence.comparison import opened
from resnet_lib.jobs import contributions, weights
from resnet_lib.jobs.exchange import bring_in
from resnet_lib.nets.build import build
from resnet_lib.nets.pretrained import load_weights
from resnet_lib.runs import seal
from resnet_lib.runs.config import RunConfig
from resnet_lib.runs.contributions import load_credit
from resnet_lib.runs.records import RunRecord, load_record, load_study
from resnet_lib.training import TimeLimitReached, checkpoints, make_optimizer, train
from resnet_lib.training.hardware import Hardware
from resnet_lib.training.protocols import read_image, read_weights

CONFIG = tiny_config()
RECORD = json.loads(made_up_record(CONFIG).to_json())
STUDY = json.loads(made_up_study("lesion", CONFIG, {"none": 12.0, "layer1.0": 34.0}).to_json())
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=8,
)
LONGER = int(os.environ.get("RESNET_LIB_FUZZ", "1"))


def examples(number: int) -> settings:
    """So many examples, the same ones each time: a check that fails by chance stops someone else's work.

    Each needs the folder only for a file that it overwrites, and 30 seconds are as good as a hang.
    """
    return settings(
        derandomize=LONGER == 1,
        max_examples=number * LONGER,
        deadline=30_000,
        print_blob=True,
        suppress_health_check=list(HealthCheck),
    )


# What holds for all of them.

Load = Callable[[Path], Any]
TRIED: Counter[str] = Counter()


@pytest.fixture(scope="module", autouse=True)
def _told(request: pytest.FixtureRequest) -> Iterator[None]:
    """Says how many were tried, where that is what was wanted."""
    yield
    if LONGER > 1:
        with request.config.pluginmanager.getplugin("capturemanager").global_and_fixture_disabled():
            print("\ntried:", ", ".join(f"{count:,} {kind}" for kind, count in sorted(TRIED.items())))


@pytest.fixture(autouse=True)
def _nothing_else_happens(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No program is started, nothing is unpickled that runs, and nothing is written beside the file."""

    def start(*command: object, **_: object) -> None:
        raise AssertionError(f"{command} was started")

    monkeypatch.setattr(subprocess, "Popen", start)
    monkeypatch.chdir(tmp_path)
    yield
    assert {path.name for path in tmp_path.iterdir()} <= {"cache", "here", "mine"}


@pytest.fixture
def here(tmp_path: Path) -> Path:
    """The folder of the forged file."""
    (tmp_path / "here").mkdir()
    return tmp_path / "here"


class Touch:
    """What makes a file when it is unpickled."""

    def __reduce__(self) -> tuple:
        return Path.touch, (Path("was run"),)


def refused_or(kind: str, load: Load, path: Path) -> Any:
    """What `load` gives, or None if it refuses the file as it should."""
    TRIED[kind] += 1
    try:
        with warnings.catch_warnings(action="ignore"):  # of Pillow's and torch's, of what may be wrong
            return load(path)
    except UserError as error:
        assert str(path) in str(error)
        assert str(error).isprintable()
        assert len(str(error)) < 2000
        return None


def paths_into(value: Any, path: tuple = ()) -> list[tuple]:
    """Where something could be replaced: every key of every object, and every place of every list."""
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(found for key, item in inside for found in paths_into(item, (*path, key)))]


def replaced(value: Any, path: tuple, new: Any) -> Any:
    """The value with what stands at a path replaced."""
    if not path:
        return new
    copy = value.copy()
    copy[path[0]] = replaced(value[path[0]], path[1:], new)
    return copy


EDITS = st.lists(st.tuples(st.floats(0, 1), st.integers(0, 8), st.binary(max_size=8)), max_size=4)


def edited(content: bytes, edits: list[tuple[float, int, bytes]]) -> bytes:
    """Bytes of which some were taken out or put in."""
    for place, removed, added in edits:
        at = int(place * len(content))
        content = content[:at] + added + content[at + removed :]
    return content


# Records, studies and configs.


@pytest.mark.fault("file from a stranger")
@examples(300)
@given(place=st.sampled_from(paths_into(RECORD)), new=ANYTHING)
def test_a_record_with_something_else_in_one_place(place: tuple, new: Any, here: Path) -> None:
    path = here / "record.json"
    path.write_text(json.dumps(replaced(RECORD, place, new)))
    loaded = refused_or("records", load_record, path)
    if loaded is not None:  # then nothing was lost or bent on the way
        again = json.loads(loaded.to_json())
        path.write_text(loaded.to_json())
        assert load_record(path) == loaded
        assert paths_into(again)


@examples(300)
@given(place=st.sampled_from(paths_into(STUDY)), new=ANYTHING)
def test_a_study_with_something_else_in_one_place(place: tuple, new: Any, here: Path) -> None:
    path = here / "study.json"
    path.write_text(json.dumps(replaced(STUDY, place, new)))
    refused_or("studies", load_study, path)


@pytest.mark.fault("file from a stranger")
@examples(300)
@given(content=st.binary(max_size=300))
def test_a_file_of_any_bytes_is_no_record(content: bytes, here: Path) -> None:
    path = here / "record.json"
    path.write_bytes(content)
    assert refused_or("records", load_record, path) is None


@examples(300)
@given(cut=st.integers(min_value=0, max_value=len(json.dumps(RECORD)) - 1))
def test_a_record_cut_off_anywhere_is_refused(cut: int, here: Path) -> None:
    path = here / "record.json"
    path.write_text(json.dumps(RECORD)[:cut])
    assert refused_or("records", load_record, path) is None


@examples(300)
@given(place=st.sampled_from(paths_into(RECORD["config"])), new=ANYTHING)
def test_a_config_with_something_else_in_one_place_is_complete_or_refused(place: tuple, new: Any) -> None:
    try:
        config = RunConfig.model_validate_json(json.dumps(replaced(RECORD["config"], place, new)))
    except ValueError:
        return
    assert RunConfig.model_validate_json(config.model_dump_json(exclude_defaults=True)) == config
    assert config.digest in config.name


# Archives of records.

METHODS = st.sampled_from([zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
NAMES = st.sampled_from(
    [
        "a.json",
        "../a.json",
        "/a.json",
        "b/../../a.json",
        "a\n.json",
        "a.json/b.json",
        "a" * 300 + ".json",
        "studies/a.json",
    ]
) | st.text(st.characters(codec="utf-8"), max_size=20).map(lambda stem: f"{stem}.json")
CONTENTS = st.one_of(
    st.integers(0, 2).map(lambda seed: made_up_record(tiny_config(seed=seed)).to_json().encode()),
    st.builds(
        lambda place, new: json.dumps(replaced(RECORD, place, new)).encode(),
        st.sampled_from(paths_into(RECORD)),
        ANYTHING,
    ),
    st.just(json.dumps(STUDY).encode()),
    st.binary(max_size=50),
)


def zipped(entries: list[tuple[str, bytes]], method: int = zipfile.ZIP_STORED) -> bytes:
    """A zip archive, in which a name may come twice, or have a NUL in it."""
    buffer = io.BytesIO()
    with warnings.catch_warnings(action="ignore"), zipfile.ZipFile(buffer, "w") as archive:
        for name, content in entries:
            entry = zipfile.ZipInfo()
            entry.filename = name  # a name that is given at once is cut off at a NUL
            archive.writestr(entry, content, method)
    return buffer.getvalue()


@pytest.mark.fault("file from a stranger")
@examples(100)
@given(entries=st.lists(st.tuples(NAMES, CONTENTS), max_size=4), method=METHODS, edits=st.just([]) | EDITS)
def test_an_archive_of_anything(
    entries: list[tuple[str, bytes]], method: int, edits: list[tuple[float, int, bytes]], here: Path
) -> None:
    path = here / "a.zip"
    path.write_bytes(edited(zipped(entries, method), edits))
    refused_or("archives for import", lambda path: bring_in(path, here / "records"), path)
    for found in here.rglob("*"):
        assert found == path or found.is_relative_to(here / "records")
    for found in (here / "records").rglob("*.json"):
        assert found.parent.parent == here / "records"
        assert load_record(found).config.data.name == found.parent.name
        found.unlink()
    refused_or("archives for report", all_of, path)


def all_of(path: Path) -> list[RunRecord]:
    """The records that `report --against` finds."""
    with opened(str(path)) as records:
        return list(records)


# Weights.

MANY = 10**9
TENSORS = st.sampled_from(
    [
        lambda: torch.zeros(2, 3),
        lambda: torch.zeros(()),
        lambda: torch.zeros(0, 5),
        lambda: torch.zeros(1).expand(MANY, 3),
        lambda: torch.full((2, 2), torch.nan),
        lambda: torch.zeros(2, dtype=torch.int64),
        lambda: torch.zeros(2, dtype=torch.complex64),
        lambda: torch.zeros(2, dtype=torch.float8_e5m2),
        lambda: torch.zeros(2, dtype=torch.bfloat16),
        lambda: torch.zeros(2, dtype=torch.bool),
        lambda: torch.zeros(2, 2).to_sparse(),
        lambda: torch.zeros(2, 2).to_sparse_csr(),
        lambda: torch.zeros(MANY, MANY, device="meta"),
        lambda: torch.quantize_per_tensor(torch.zeros(2), 0.1, 0, torch.quint8),
        lambda: torch.nested.nested_tensor([torch.zeros(1), torch.zeros(2)]),
        lambda: torch.zeros(2, requires_grad=True),
        lambda: torch.nn.Parameter(torch.zeros(2)),
    ]
).map(lambda make: make())
LAUGHS: Any = "ha"  # a value that fills no memory unless it is written out
for _ in range(50):
    LAUGHS = [LAUGHS, LAUGHS]
SAVED = ANYTHING | TENSORS | st.builds(Touch) | st.just(LAUGHS) | st.binary(max_size=20) | st.sets(st.integers())
KEYS = st.text(max_size=10) | st.integers() | st.none() | st.tuples(st.integers()) | st.just("fc.weight")


def saved(value: Any, legacy: bool = False) -> bytes:
    """What torch.save writes."""
    buffer = io.BytesIO()
    with warnings.catch_warnings(action="ignore"):
        torch.save(value, buffer, _use_new_zipfile_serialization=not legacy)
    return buffer.getvalue()


def unpacked(content: bytes) -> list[tuple[str, bytes]]:
    """The entries of a zip archive."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return [(entry.filename, archive.read(entry)) for entry in archive.infolist()]


@pytest.mark.fault("file from a stranger")
@examples(150)
@given(
    value=st.dictionaries(KEYS, TENSORS | SAVED, max_size=3) | SAVED,
    legacy=st.booleans(),
    packed=st.none() | METHODS,
    edits=st.just([]) | EDITS,
)
def test_whatever_torch_saves_is_weights_by_name_or_refused(
    value: Any, legacy: bool, packed: int | None, edits: list[tuple[float, int, bytes]], here: Path
) -> None:
    content = saved(value, legacy and not has_nested(value))
    if packed is not None and not legacy:
        content = zipped(unpacked(content), packed)
    path = here / "weights.pt"
    path.write_bytes(edited(content, edits))
    found = refused_or("files of torch.save as weights", read_weights, path)
    for name, tensor in (found or {}).items():
        assert isinstance(name, str)
        assert tensor.layout is torch.strided and tensor.device.type == "cpu" and not tensor.is_complex()


def has_nested(value: Any) -> bool:
    """Whether torch's older format cannot take it."""
    inside = value.values() if isinstance(value, dict) else [value]
    return any(isinstance(each, Tensor) and (each.is_nested or each.is_meta) for each in inside)


NET = {name: value.contiguous() for name, value in build(CONFIG.net).state_dict().items()}
SAFE = safetensors.torch.save(NET)
HEADER = json.loads(SAFE[8 : 8 + int.from_bytes(SAFE[:8], "little")])
PAYLOAD = SAFE[8 + int.from_bytes(SAFE[:8], "little") :]
FIELDS = st.one_of(
    ANYTHING,
    st.sampled_from(["F32", "F64", "I64", "BOOL", "F8_E4M3", "F8_E8M0", "F4", "C64", "U64", "X", "BF16"]),
    st.lists(st.integers(-1, 2**63), max_size=4),
)


def safe(header: Any, payload: bytes, length: int | None = None) -> bytes:
    """A safetensors file."""
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + payload


@pytest.mark.fault("file from a stranger")
@examples(100)
@given(
    place=st.sampled_from(paths_into(HEADER)),
    new=FIELDS,
    payload=st.sampled_from([PAYLOAD, PAYLOAD[:-1], PAYLOAD + b"\0", b""]),
    length=st.none() | st.integers(0, 2**64 - 1),
)
def test_safetensors_with_something_else_in_their_header(
    place: tuple, new: Any, payload: bytes, length: int | None, here: Path
) -> None:
    path = here / "weights.safetensors"
    path.write_bytes(safe(replaced(HEADER, place, new), payload, length))
    for kind, load in (
        ("safetensors as weights", read_weights),
        ("safetensors of a run", lambda path: weights.read(path, CONFIG)),
        ("safetensors of a pretrained net", lambda path: load_weights(build(CONFIG.net), path)),
    ):
        refused_or(kind, load, path)


# Checkpoints, by somebody who can compute a digest.


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What is in a checkpoint after seven iterations."""
    path = tmp_path_factory.mktemp("state") / "run.pt"
    for _ in range(7):
        with suppress(TimeLimitReached):
            train(CONFIG, tiny_dataset(), Hardware.choose("cpu", "fp32"), checkpoint=path, time_limit=1e-9)
    return checkpoints.contents(path)


def resumed(path: Path) -> bool:
    """Loads a checkpoint and makes a step from it, as training would."""
    net = build(CONFIG.net, 1, 10, 16)
    optimizer = make_optimizer(net, CONFIG.recipe)
    course = checkpoints.load_checkpoint(path, CONFIG, tiny_dataset().digest, net, optimizer)
    for parameter in net.parameters():
        parameter.grad = torch.zeros_like(parameter)
    optimizer.step()
    course.sums += 1
    return True


@pytest.mark.fault("file from a stranger")
@examples(150)
@given(data=st.data())
def test_a_checkpoint_with_something_else_in_one_place(data: st.DataObject, state: dict[str, Any], here: Path) -> None:
    place = data.draw(st.sampled_from(paths_into(state)))
    like = state
    for key in place:
        like = like[key]
    of_its_shape = [lambda: torch.zeros(1).expand_as(like), lambda: like.to("meta"), lambda: like.to_sparse()]
    of_its_shape += [lambda: like.double(), lambda: like.clone().requires_grad_(like.is_floating_point())]
    alike = st.sampled_from(of_its_shape).map(lambda make: make())
    new = data.draw(SAVED | alike if isinstance(like, Tensor) else SAVED)
    path = here / "run.pt"
    path.write_bytes(checkpoints.seal(saved(replaced(state, place, new))))
    refused_or("checkpoints", resumed, path)


@pytest.mark.fault("file from a stranger")
@examples(50)
@given(packed=METHODS, edits=EDITS)
def test_a_checkpoint_packed_or_edited(
    packed: int, edits: list[tuple[float, int, bytes]], state: dict[str, Any], here: Path
) -> None:
    path = here / "run.pt"
    path.write_bytes(checkpoints.seal(edited(zipped(unpacked(saved(state)), packed), edits)))
    refused_or("checkpoints", resumed, path)


# Data sets.

NPY = st.fixed_dictionaries(
    {},
    optional={
        "descr": st.sampled_from(["|u1", "<f4", "|O", "<U9", "|V3", "|S1000000000", [("a", "|u1")]]) | ANYTHING,
        "fortran_order": st.booleans() | ANYTHING,
        "shape": st.lists(st.integers(-1, 2**63), max_size=4).map(tuple) | st.just((MANY, MANY)) | ANYTHING,
        "more": ANYTHING,
    },
)


def npy(array: np.ndarray, header: dict[str, Any], version: int, payload: bytes | None) -> bytes:
    """An .npy file whose header says something else."""
    text = repr({"descr": "|u1", "fortran_order": False, "shape": array.shape} | header).encode() + b"\n"
    length = struct.pack("<H" if version == 1 else "<I", len(text) % 65536)
    return b"\x93NUMPY" + bytes([version, 0]) + length + text + (array.tobytes() if payload is None else payload)


@pytest.mark.fault("file from a stranger")
@examples(120)
@given(
    changed=st.sampled_from(["x_train", "y_train", "x_test", "y_test"]),
    header=NPY,
    version=st.sampled_from([1, 1, 2, 3, 9]),
    payload=st.none() | st.binary(max_size=30),
    method=METHODS,
    edits=st.just([]) | EDITS,
)
def test_arrays_with_something_else_in_their_header(
    changed: str,
    header: dict[str, Any],
    version: int,
    payload: bytes | None,
    method: int,
    edits: list[tuple[float, int, bytes]],
    arrays: Arrays,
    folder: Path,
) -> None:
    path = folder / "cifar10.npz"
    files = {f"{name}.npy": npy(array, {}, 1, None) for name, array in arrays.items()}
    files[f"{changed}.npy"] = npy(arrays[changed], header, version, payload)
    path.write_bytes(edited(zipped(list(files.items()), method), edits))
    found = refused_or("data sets as .npz", lambda _: data.load("cifar10", 32), path)
    assert found is None or found.train_images.shape == (50, 3, 32, 32)


@pytest.mark.fault("file from a stranger")
@examples(50)
@given(file=st.sampled_from(["train", "test", "meta"]), edits=EDITS, code=st.booleans())
def test_pickles_of_a_data_set_that_are_not_their_publishers(
    file: str,
    edits: list[tuple[float, int, bytes]],
    code: bool,
    arrays: Arrays,
    folder: Path,
    torchvision_files: Callable[[Path, str, Arrays], Path],
) -> None:
    path = folder / "cifar-10-batches-py"
    if not path.exists():
        torchvision_files(folder, "cifar10", arrays)
    whole = (path / file).read_bytes()
    content = edited(saved(Touch(), legacy=True) if code else whole, edits)
    (path / file).write_bytes(content)
    found = refused_or("data sets as pickles", lambda _: data.load("cifar10", 32), path)
    assert (found is not None) == (content == whole)
    (path / file).write_bytes(whole)


@pytest.fixture(scope="module")
def tiny_imagenet(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The files of its publisher's archive, of few images."""
    root = publish(tmp_path_factory.mktemp("tiny"), train=2, val=1)
    return {path.relative_to(root.parent).as_posix(): path.read_bytes() for path in root.rglob("*") if path.is_file()}


@pytest.fixture
def smaller(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(SOURCES, "tiny-imagenet-100", scaled("tiny-imagenet-100", 4, train=2, val=1))


@pytest.mark.usefixtures("smaller")
@pytest.mark.fault("file from a stranger")
@examples(50)
@given(data_=st.data(), method=METHODS, edits=st.just([]) | EDITS)
def test_an_archive_of_images_with_something_else_in_one_file(
    data_: st.DataObject,
    method: int,
    edits: list[tuple[float, int, bytes]],
    tiny_imagenet: dict[str, bytes],
    folder: Path,
) -> None:
    files = list(tiny_imagenet.items())
    at = data_.draw(st.integers(0, len(files) - 1))
    name, content = files[at]
    if name.endswith(".txt"):
        lines = content.decode().splitlines() or [""]
        line = data_.draw(st.integers(0, len(lines) - 1))
        lines[line] = data_.draw(st.text(st.characters(codec="utf-8"), max_size=30))
        content = "\n".join(lines).encode()
    else:
        content = data_.draw(st.sampled_from([content, *PICTURES.values()]) | PNG | st.binary(max_size=30))
    files[at] = (data_.draw(st.just(name) | st.sampled_from(list(tiny_imagenet)) | NAMES), content)
    path = folder / "tiny-imagenet-200.zip"
    path.write_bytes(edited(zipped(files, method), edits))
    found = refused_or("archives of images", lambda _: data.load("tiny-imagenet-100", 64), path)
    assert found is None or found.train_images.shape[1:] == (3, 64, 64)


# Images.


def picture(kind: str) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(np.arange(64 * 64 * 3, dtype=np.uint8).reshape(64, 64, 3)).save(buffer, kind)
    return buffer.getvalue()


PICTURES = {kind: picture(kind) for kind in ("JPEG", "PNG", "PPM", "BMP", "TIFF", "WEBP", "GIF", "EPS", "PDF", "ICO")}
CHUNKS = st.one_of(
    st.tuples(
        st.just(b"IHDR"),
        st.builds(
            lambda *fields: struct.pack(">IIBBBBB", *fields),
            *[st.sampled_from([0, 1, 9, 64, 20_000, 2**31 - 1, 2**32 - 1])] * 2,
            *[st.sampled_from([0, 1, 2, 3, 4, 6, 8, 16, 255])] * 5,
        ),
    ),
    st.tuples(st.just(b"IDAT"), st.binary(max_size=40).map(zlib.compress) | st.binary(max_size=9)),
    st.tuples(st.sampled_from([b"zTXt", b"iTXt", b"iCCP", b"eXIf"]), st.just(b"a\0\0" + zlib.compress(b"\0" * 2**24))),
    st.tuples(st.sampled_from([b"PLTE", b"tRNS", b"gAMA", b"acTL", b"fcTL", b"fdAT", b"IEND"]), st.binary(max_size=30)),
)


def png(chunks: list[tuple[bytes, bytes]]) -> bytes:
    """A PNG file of these chunks, with their checksums."""
    parts = (
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body)) for kind, body in chunks
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


PNG = st.lists(CHUNKS, max_size=6).map(png)
TAGS = st.sampled_from(
    [256, 257, 258, 259, 262, 273, 277, 278, 279, 284, 317, 320, 322, 323, 324, 325, 338, 339, 34665]
)
SIZES = st.sampled_from([0, 1, 2, 3, 8, 64, 65535, 2**31, 2**32 - 1])


def tiff(entries: list[tuple[int, int, int, int]]) -> bytes:
    """A TIFF file with a directory of these entries: tag, type, number of values, value."""
    directory = b"".join(struct.pack("<HHII", *entry) for entry in sorted(entries))
    return b"II*\0" + struct.pack("<IH", 8, len(entries)) + directory + bytes(100)


TIFF = st.lists(st.tuples(TAGS, st.integers(0, 13), SIZES, SIZES), max_size=12).map(tiff)


@pytest.mark.fault("bad image")
@examples(200)
@given(
    content=st.builds(edited, st.sampled_from(list(PICTURES.values())), EDITS) | PNG | TIFF,
    suffix=st.sampled_from(["JPEG", "png", "tif", "ppm"]),
)
def test_an_image_of_anything(content: bytes, suffix: str, here: Path) -> None:
    path = here / f"image.{suffix}"
    path.write_bytes(content)
    found = refused_or("images", read_image, path)
    assert found is None or found.mode == "RGB"
    path.unlink()


# Lists of digests, and names of commits.


@pytest.mark.fault("tampered record")
@examples(100)
@given(edits=EDITS)
def test_a_list_of_digests_of_anything(edits: list[tuple[float, int, bytes]], here: Path) -> None:
    path = here / seal.SEAL
    path.write_bytes(edited(b"".join(b"%064d  folder/file%d.json\n" % (n, n) for n in range(3)), edits))
    seal._read.cache_clear()  # it looks at times, which are coarser than this
    found = refused_or("lists of digests", lambda path: seal.read_seal(path.parent), path)
    assert found is None or all(isinstance(name, str) for name in found)


# What is no file, and names of files.


LOADERS: dict[str, Load] = {
    "record.json": load_record,
    "study.json": load_study,
    "a.zip": lambda path: bring_in(path, path.parent / "records"),
    "contribution.zip": lambda path: contributions.check(path, challenges.runs),
    "credit.yml": load_credit,
    "weights.pt": read_weights,
    "weights.safetensors": read_weights,
    "run.safetensors": lambda path: weights.read(path, CONFIG),
    "net.safetensors": lambda path: load_weights(build(CONFIG.net), path),
    "run.pt": resumed,
    "image.JPEG": read_image,
    seal.SEAL: lambda path: seal.read_seal(path.parent),
    "cifar10.npz": lambda _: data.load("cifar10", 32),
    "tiny-imagenet-200.zip": lambda _: data.load("tiny-imagenet-100", 64),
}
NO_FILES: dict[str, Callable[[Path], object]] = {
    "pipe": os.mkfifo,
    "device": lambda path: path.symlink_to("/dev/zero"),
    "folder": Path.mkdir,
    "empty": Path.touch,
    "loop": lambda path: path.symlink_to(path.name),
    "five gigabytes of nothing": lambda path: (path.touch(), os.truncate(path, 5 << 30)),
}


@pytest.mark.fault("file from a stranger")
@pytest.mark.parametrize("name", LOADERS)
@examples(20)
@given(content=st.binary(max_size=300))
def test_any_bytes_are_none_of_these(name: str, content: bytes, folder: Path) -> None:
    path = folder / name
    path.write_bytes(content)
    seal._read.cache_clear()
    assert not refused_or("bytes of any kind", LOADERS[name], path)


@pytest.mark.fault("file from a stranger")
@pytest.mark.parametrize("what", NO_FILES)
@pytest.mark.parametrize("name", LOADERS)
def test_what_is_no_file_is_neither_waited_for_nor_read_to_its_end(name: str, what: str, folder: Path) -> None:
    path = folder / name
    NO_FILES[what](path)
    if "loop" in what and name in (seal.SEAL, "cifar10.npz", "tiny-imagenet-200.zip"):
        pytest.skip("it is as if nothing were there")
    if (name, what) == (seal.SEAL, "empty"):
        pytest.skip("a list of nothing")
    assert refused_or("in place of files", LOADERS[name], path) is None


@pytest.mark.fault("file from a stranger")
@pytest.mark.parametrize(
    "name", [name for name in LOADERS if name.islower() and "-" not in name and "cifar" not in name]
)
def test_a_name_with_line_breaks_and_controls_is_shown_in_one_line(name: str, folder: Path) -> None:
    path = folder / f"a\n\x1b[2J\udcff{name}"
    path.write_bytes(b"nothing that could be read")
    with pytest.raises(UserError) as caught:
        LOADERS[name](path)
    assert str(caught.value).isprintable()
    assert r"a\n\x1b[2J\udcff" in str(caught.value)
