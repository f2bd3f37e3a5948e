"""Nets that others trained: manifest, files right and wrong, what becomes of the weights, what is measured."""

import base64
import copy
import dataclasses
import hashlib
import io
import json
import os
import pickle
import re
import socket
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import pytest
import torch
from samples import NOWHERE, complaint, tiny_dataset
from torch import Tensor, nn
from torch.nn import functional as F

from resnet_lib import data, training
from resnet_lib.cli import main, nets
from resnet_lib.data.sets import Dataset
from resnet_lib.files import cache_dir
from resnet_lib.jobs import published, studies
from resnet_lib.jobs.examined import Examined
from resnet_lib.jobs.full_length import MEASURES
from resnet_lib.nets.blocks import ZeroPadShortcut
from resnet_lib.nets.models import CifarNet, initialize
from resnet_lib.nets.probes import response_std
from resnet_lib.runs import published as manifest
from resnet_lib.runs import records
from resnet_lib.runs.published import PublishedFile, PublishedNet, published_nets
from resnet_lib.runs.records import PublishedStudy, load_published, save_study
from resnet_lib.runs.store import Records, committed_dir, is_run

CPU = training.Hardware(torch.device("cpu"), "fp32", False)
NETS = published_nets()
ALONG = ("read-off", "gradient-step", "gradient-paths", "filter-line", "filter-plane")  # what chapter 15 measures
BROUGHT = os.environ.get("RESNET_LIB_DATA")  # by whoever runs the tests; conftest takes it from each test


# The manifest.


def test_the_manifest_names_twelve_files_of_two_authors() -> None:
    assert len(NETS) == 12
    assert len({net.file.sha256 for net in NETS.values()}) == len({net.place for net in NETS.values()}) == 12
    assert [name for name in NETS if "56" in name] == ["a-martyn/plain-56", "a-martyn/ResNet-56", "akamaster/ResNet-56"]
    assert NETS["a-martyn/plain-56"].config.name == "plain-56"
    assert NETS["akamaster/ResNet-20"].config.name == "ResNet-20 A"
    assert all(net.file.best_error < net.file.error for net in NETS.values())  # none is the net of its best epoch


# Small nets laid out as the two authors do it.


def made_up(author: str, content: bytes = b"", kind: str = "ResNet") -> PublishedNet:
    """A net of eight layers in the manifest of an author, with this content."""
    file = PublishedFile(
        path="nets/small.pt",
        bytes=max(len(content), 1),
        sha256=hashlib.sha256(content).hexdigest(),
        error=90.0,
        best_error=89.0,
    )
    return PublishedNet(author, f"{kind}-14", NETS[f"{author}/ResNet-20"].publisher, file)


class PaddedOnBothSides(nn.Module):
    """Option A as akamaster's nets have it."""

    def __init__(self, shortcut: ZeroPadShortcut) -> None:
        super().__init__()
        self.side = shortcut.new_channels // 2

    def forward(self, x: Tensor) -> Tensor:
        return F.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, self.side, self.side))


def random_net(shortcut: str, both_sides: bool = False) -> CifarNet:
    """Fourteen layers in which every number differs from every other, running statistics and scales too."""
    net = CifarNet(14, shortcut)
    initialize(net, 0)
    generator = torch.Generator().manual_seed(0)
    for name, value in net.state_dict().items():
        if value.dim() == 1:
            value.copy_(torch.rand(value.shape, generator=generator) + (0.5 if name.endswith(("var", "weight")) else 0))
        elif value.dim() == 0:
            value.fill_(7)
    if both_sides:
        for stage in (net.layer2, net.layer3):
            stage[0].downsample = PaddedOnBothSides(stage[0].downsample)
    return net.eval()


def a_martyns(net: CifarNet) -> dict[str, Tensor]:
    state = {}
    for name, value in net.state_dict().items():
        stage, _, rest = name.partition(".")
        block, _, layer = rest.partition(".")
        match stage:
            case "conv1" | "bn1" | "fc":
                theirs = {"conv1": "convIn", "bn1": "bnIn", "fc": "fcOut"}[stage] + f".{rest}"
            case "layer1":
                theirs = f"stack1.{rest}"
            case _:
                own = f"stack{stage[-1]}"
                theirs = f"{own}a.{layer}" if block == "0" else f"{own}b.{int(block) - 1}.{layer}"
        state[theirs] = value
    return state


def akamasters(net: CifarNet) -> dict[str, object]:
    """Without counts of batches: the files are older than these."""
    state = {f"module.{k.replace('fc.', 'linear.')}": v for k, v in net.state_dict().items() if "num_batches" not in k}
    return {"state_dict": state, "best_prec1": 11.0}


def saved(content: object) -> bytes:
    buffer = io.BytesIO()
    torch.save(content, buffer)
    return buffer.getvalue()


def brought(net: PublishedNet, content: bytes, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file of a net, where its user has put it."""
    path = folder / "published" / net.place
    path.parent.mkdir(parents=True)
    path.write_bytes(content)
    monkeypatch.setenv("RESNET_LIB_DATA", str(folder))
    return path


@pytest.mark.parametrize(
    ("author", "kind", "layout"),
    [("a-martyn", "plain", a_martyns), ("a-martyn", "ResNet", a_martyns), ("akamaster", "ResNet", akamasters)],
)
def test_a_net_of_others_gives_what_it_gave_its_author(
    author: str, kind: str, layout: Callable[[CifarNet], object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    theirs = random_net("none" if kind == "plain" else "A", both_sides=author == "akamaster")
    content = saved(layout(theirs))
    net = made_up(author, content, kind)
    brought(net, content, tmp_path, monkeypatch)
    ours = published.load(net).eval()
    images = torch.randn(3, 3, 32, 32)
    torch.testing.assert_close(ours(images), theirs(images))
    # It has been trained: its responses are those of its own statistics, not of these images.
    torch.testing.assert_close(response_std(ours, images), response_std(theirs, images))


# Files that are not what they should be.


@pytest.mark.fault("truncated download")
def test_a_file_that_is_not_its_authors_is_refused_in_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    content = saved(a_martyns(random_net("A")))
    net = made_up("a-martyn", content)
    path = brought(net, content, tmp_path, monkeypatch)
    assert published.fetch(net) == path
    path.write_bytes(content[:-5])
    half = rf"{path} is not the file that a-martyn published \([\d,]+ bytes in place of [\d,]+\); replace or delete it"
    assert re.fullmatch(half, complaint(lambda: published.fetch(net)))
    path.write_bytes(content + b"more")
    assert "(over " in complaint(lambda: published.load(net))
    path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    assert "SHA-256" in complaint(lambda: published.load(net))
    path.unlink()
    path.mkdir()
    assert "cannot be read" in complaint(lambda: published.load(net))


class Stranger:
    """What a pickle would run when it is read."""

    def __reduce__(self) -> tuple[object, ...]:
        return os.system, ("echo a stranger's code ran >&2",)


@pytest.mark.fault("file from a stranger")
@pytest.mark.parametrize(
    ("author", "content", "problem"),
    [
        ("a-martyn", pickle.dumps(Stranger()), "holds code, which is not run"),
        ("a-martyn", saved({"convIn.weight": Stranger()}), "holds code, which is not run"),
        ("a-martyn", b"nothing", "cannot be read as weights"),
        ("a-martyn", saved([1, 2]), "something else than weights by name"),
        ("akamaster", saved({"best_prec1": 1.0}), "something else than weights by name"),
        ("a-martyn", saved({"unheard.of.weight": torch.zeros(1)}), "not a ResNet-14: it has unheard.of.weight"),
        ("a-martyn", saved(a_martyns(CifarNet(8, "A"))), "layer1.1.bn1.bias is missing, superfluous or of another"),
        ("a-martyn", saved(a_martyns(CifarNet(14, "A", 1))), "conv1.weight is missing, superfluous or of another"),
    ],
)
def test_content_that_is_no_such_net_is_refused_in_one_line(
    author: str,
    content: bytes,
    problem: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    net = made_up(author, content)  # even if the manifest says that it should be so
    path = brought(net, content, tmp_path, monkeypatch)
    message = complaint(lambda: published.load(net))
    assert message.startswith(f"{path}: ")
    assert problem in message
    assert "a stranger's code ran" not in capfd.readouterr().err


# Downloads.


@pytest.fixture
def host(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, bytes]]:
    """A server in the place of GitHub: path -> content. Of a path that ends with "broken" it promises more."""
    contents: dict[str, bytes] = {}

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            content = contents.get(self.path)
            self.send_response(404 if content is None else 200)
            self.send_header("Content-Length", str(len(content or b"") + 10 * self.path.endswith("broken")))
            self.end_headers()
            self.wfile.write(content or b"")

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    monkeypatch.setattr(published, "HOST", f"http://127.0.0.1:{server.server_port}")
    yield contents
    server.shutdown()
    server.server_close()
    thread.join()


def stored() -> list[Path]:
    return [path for path in cache_dir().rglob("*") if path.is_file()]


def test_a_net_is_fetched_once_from_the_commit_of_the_manifest(host: dict[str, bytes]) -> None:
    content = saved(a_martyns(random_net("A")))
    net = made_up("a-martyn", content)
    assert published.locate(net) is None
    host[f"/a-martyn/resnet/{net.publisher.commit}/nets/small.pt"] = content
    path = published.fetch(net)
    assert path == published.locate(net) == cache_dir() / "data" / "published" / "a-martyn" / "small.pt"
    assert stored() == [path]
    host.clear()
    published.load(net)


@pytest.mark.fault("truncated download")
def test_a_download_that_is_not_the_file_leaves_nothing(host: dict[str, bytes]) -> None:
    content = saved(a_martyns(random_net("A")))
    net = made_up("a-martyn", content)
    place = f"/a-martyn/resnet/{net.publisher.commit}/nets/small.pt"
    for given, problem in (
        (None, "HTTP Error 404"),
        (content[:-1], "bytes in place of"),
        (content + b"!", "(over "),
        (b"!" + content[1:], "SHA-256"),
    ):
        host.pop(place, None)
        if given is not None:
            host[place] = given
        message = complaint(lambda: published.fetch(net))
        assert problem in message
        assert message.endswith("bring it as published/a-martyn/small.pt in the folder that RESNET_LIB_DATA names")
        assert not stored()
    broken = dataclasses.replace(net, file=net.file.model_copy(update={"path": "nets/broken"}))
    host[place.replace("small.pt", "broken")] = content[:-5]
    assert "another file" in complaint(lambda: published.fetch(broken))
    assert not stored()


def test_without_network_one_line_says_how_to_bring_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    monkeypatch.setattr(published, "HOST", f"http://127.0.0.1:{port}")
    message = complaint(lambda: published.fetch(NETS["akamaster/ResNet-20"]))
    assert "could not be downloaded (" in message
    assert message.endswith(
        "bring it as published/akamaster/resnet20-12fca82f.th in the folder that RESNET_LIB_DATA names"
    )


# What is measured.


@pytest.fixture
def colour(monkeypatch: pytest.MonkeyPatch) -> Dataset:
    """A few images of three channels under the name of CIFAR-10."""
    tiny, sizes = tiny_dataset(), {"train": 60, "test": 40}
    generator = torch.Generator().manual_seed(1)
    images = {s: torch.randint(256, (n, 3, 32, 32), generator=generator).to(torch.uint8) for s, n in sizes.items()}
    dataset = dataclasses.replace(
        tiny,
        train_images=images["train"],
        train_labels=tiny.train_labels[:60],
        test_images=images["test"],
        test_labels=tiny.test_labels[:40],
        mean=torch.full((3, 32, 32), 99.0),
        std=torch.tensor(9.0),
    )
    monkeypatch.setattr(data, "load", lambda name, size: dataset if (name, size) == ("cifar10", 32) else None)
    return dataset


def test_a_net_gets_its_own_normalisation(colour: Dataset) -> None:
    net = NETS["akamaster/ResNet-20"]
    mean, std = (torch.tensor(column).view(3, 1, 1) for column in (net.publisher.mean, net.publisher.std))
    given = published.dataset_of(net).normalize(colour.test_images)
    torch.testing.assert_close(given, (colour.test_images / 255 - mean) / std)


@pytest.fixture
def studied(colour: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[PublishedNet, CifarNet]:
    """A net of others that has been brought along, and the same as its author had it."""
    theirs = random_net("A", both_sides=True)
    content = saved(akamasters(theirs))
    net = made_up("akamaster", content)
    brought(net, content, tmp_path, monkeypatch)
    monkeypatch.setattr(published, "TRAINING_IMAGES", 50)
    return net, theirs


def error(net: nn.Module, images: Tensor, labels: Tensor) -> float:
    with torch.no_grad():
        return 100 * (net(images).argmax(dim=1) != labels).double().mean().item()


def test_the_whole_net_is_measured_as_its_author_had_it(
    studied: tuple[PublishedNet, CifarNet], colour: Dataset
) -> None:
    net, theirs = studied
    study = published.make_study("whole-net", net)
    dataset = published.dataset_of(net)
    images, labels = dataset.normalize(colour.test_images), colour.test_labels
    few = dataset.normalize(colour.train_images[:50])
    values = dict(zip(study.label, study.value, strict=True))
    assert values["whole net"] == pytest.approx(error(theirs, images, labels))
    assert values[published.TRAINING] == pytest.approx(error(theirs, few, colour.train_labels[:50]))
    settled = copy.deepcopy(theirs).train()
    for module in settled.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = 1.0  # one batch, whose statistics these then are
    settled(few)
    assert values[published.RE_ESTIMATED] == pytest.approx(error(settled.eval(), images, labels))
    with torch.no_grad():
        right = theirs(images).argmax(dim=1) == labels
    assert study.test_images.unpacked().tolist() == right.tolist()
    torch.testing.assert_close(list(study.probes.response_std), response_std(theirs, images), rtol=1e-4, atol=1e-5)
    assert study.probes.blocks.block == tuple(f"layer{i}.{j}" for i in (1, 2, 3) for j in (0, 1))
    assert (study.num_images, study.provenance.precision, study.source) == (40, "fp32", net.source)


def test_crops_for_batch_norm_have_a_black_border_as_at_their_authors(
    studied: tuple[PublishedNet, CifarNet], colour: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The statistics are those of torchvision's way: pad the pixels with zeros, crop, mirror, and then normalise."""
    net, _ = studied
    crops: list[Tensor] = []
    monkeypatch.setattr(
        training, "reestimate_bn", lambda net, dataset, _: crops.append(dataset.normalize(dataset.train_images))
    )
    study = published.make_study("black-border", net)
    monkeypatch.undo()
    assert study.label == (published.RE_ESTIMATED,)
    assert study.provenance.precision == "fp32"
    mean, std = (torch.tensor(c).view(3, 1, 1) for c in (net.publisher.mean, net.publisher.std))
    padded = F.pad(colour.train_images, (4, 4, 4, 4))
    for image, crop in zip(padded[:50], crops[0], strict=True):
        pixels = ((crop * std + mean) * 255).round().to(torch.uint8)
        windows = [image[:, i : i + 32, j : j + 32] for i in range(9) for j in range(9)]
        assert any(torch.equal(pixels, window) or torch.equal(pixels, window.flip(2)) for window in windows)


def test_lesions_are_those_of_our_own_nets(studied: tuple[PublishedNet, CifarNet]) -> None:
    net, _ = studied
    dataset = published.dataset_of(net)
    few = dataclasses.replace(dataset, test_images=dataset.test_images[:30], test_labels=dataset.test_labels[:30])
    hardware = training.Hardware.choose()
    tested = Examined(published.load(net), few, hardware)
    for name, measure in (("delete-block", studies.delete_block), ("swap-blocks", studies.swap_blocks)):
        study = published.make_study(name, net, num_images=30)
        assert dict(zip(study.label, study.value, strict=True)) == pytest.approx(measure(tested))
        assert (study.num_images, study.test_images, study.probes) == (30, None, None)


def test_what_is_stored_is_not_measured_again(
    studied: tuple[PublishedNet, CifarNet],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    net, _ = studied
    monkeypatch.setattr(published, "LESIONED_DEPTHS", (14,))
    monkeypatch.setitem(MEASURES, "gradient-paths", dataclasses.replace(MEASURES["gradient-paths"], others=(14,)))
    made = published.work([net], tmp_path / "records")
    names = [study.study for study in made]
    lesions = ["delete-block", "swap-blocks", "delete-at-random"]
    assert names == ["whole-net", "black-border", *lesions, "gradient-paths"]
    assert [line.partition("_")[0] for line in capsys.readouterr().err.splitlines()] == names
    assert published.work([net], tmp_path / "records") == []
    assert Records(tmp_path / "none", tmp_path / "records").published("swap-blocks", net.name) == made[3]
    assert Records(tmp_path / "none").published("swap-blocks", net.name) is None


def test_only_nets_of_the_depths_that_the_book_looks_into_are_damaged() -> None:
    assert published.studies_of(NETS["akamaster/ResNet-44"]) == ["whole-net", "black-border"]
    lesions = ["delete-block", "swap-blocks", "delete-at-random"]
    assert published.studies_of(NETS["akamaster/ResNet-56"])[2:] == [*lesions, "gradient-paths"]
    assert published.studies_of(NETS["a-martyn/plain-56"])[2:] == [*lesions, "deletion-curve", *ALONG[-2:]]
    assert published.studies_of(NETS["a-martyn/ResNet-56"])[2:] == [*published.LESIONS, *ALONG]


# The command.


def test_the_command_lists_fetches_and_measures(
    studied: tuple[PublishedNet, CifarNet],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    net, _ = studied
    monkeypatch.setattr(manifest, "published_nets", lambda: {net.name: net})
    monkeypatch.setattr(nets, "committed_dir", lambda: tmp_path / "book")
    place = str(published.locate(net))
    assert main(["nets", "list"]) == 0
    assert capsys.readouterr().out == f"akamaster/ResNet-14    90.00%  BSD-2-Clause  {place}\n"
    assert main(["nets", "fetch", "--json"]) == 0
    row = {"name": net.name, "error": 90.0, "licence": "BSD-2-Clause", "path": place}
    assert json.loads(capsys.readouterr().out) == [row]
    assert main(["nets", "measure", net.name, "--into-book"]) == 0
    assert Records(tmp_path / "book").published("whole-net", net.name) is not None
    assert main(["nets", "fetch", "akamaster/ResNet-41"]) == 2
    assert capsys.readouterr().err.endswith("did you mean akamaster/ResNet-14?\n")
    Path(place).unlink()
    monkeypatch.setattr(published, "HOST", "http://127.0.0.1:9")
    assert main(["nets", "fetch"]) == 2
    assert capsys.readouterr().err.startswith("resnet_lib: akamaster/ResNet-14: http://127.0.0.1:9/akamaster/")
    assert main(["nets", "list"]) == 0
    assert capsys.readouterr().out.endswith("  not on this machine\n")


# What is stored.


def made_up_study(net: str = "a-martyn/plain-20", **changes: object) -> PublishedStudy:
    fields = {
        "format": 1,
        "study": "whole-net",
        "net": net,
        "source": NETS[net].source,
        "num_images": 4,
        "label": ("whole net",),
        "value": (25.0,),
        "test_images": records.TestImages.of([True, False, True, True]),
        "provenance": NOWHERE,
    }
    return PublishedStudy(**fields | changes)


def test_a_study_comes_back_byte_for_byte(tmp_path: Path) -> None:
    path = save_study(made_up_study(), tmp_path)
    assert path == tmp_path / "published" / "whole-net_a-martyn_plain-20.json"
    assert load_published(path) == made_up_study()
    assert load_published(path).to_json() == path.read_text()


def test_a_malformed_study_is_refused_with_file_and_field(tmp_path: Path) -> None:
    path = save_study(made_up_study(), tmp_path)
    text = path.read_text()
    for old, new, problem in (
        ('"num_images": 4', '"num_images": 0', "num_images"),
        ('"format": 1', '"format": 1, "more": 2', "more"),
        ("25.0", "26.0", "25% wrong"),
        ('["whole net"]', '["whole net", "half of it"]', "2 labels, 1 values"),
        ("a-martyn/plain-20", "a-martyn/plain-32", "this is the study whole-net_a-martyn_plain-32"),
        (base64.b64encode(b"\xb0").decode(), base64.b64encode(b"\xb0\x00").decode(), "one bit for each"),
    ):
        assert old in text
        path.write_text(text.replace(old, new))
        message = complaint(lambda: load_published(path))
        assert message.startswith(f"{path}: ")
        assert problem in message


def test_they_are_no_runs(tmp_path: Path) -> None:
    path = save_study(made_up_study(), tmp_path)
    assert not is_run(path)
    assert list(Records(tmp_path)) == []
    assert all(is_run(committed_dir() / r.config.data.name / f"{r.config.name}.json") for r in Records.committed())


# What is committed.

COMMITTED = sorted((committed_dir() / "published").glob("*.json"))


def test_every_net_has_every_study_and_nothing_else_is_there() -> None:
    found = {(study.study, study.net) for study in map(load_published, COMMITTED)}
    assert found == {(study, name) for name, net in NETS.items() for study in published.studies_of(net)}
    assert len(COMMITTED) == len(found)


@pytest.mark.parametrize("path", COMMITTED, ids=lambda path: path.stem)
def test_committed_studies_are_of_the_files_of_the_manifest(path: Path) -> None:
    study = load_published(path)
    assert study.source == NETS[study.net].source
    assert path.read_text(encoding="utf-8") == study.to_json()
    assert not study.provenance.git_dirty
    assert study.provenance.data_digest == "744115fdc1d80644"
    if study.study in ALONG:
        assert study.num_images == MEASURES[study.study].images
        assert study.provenance.precision == "fp32"
    else:
        assert study.label[0] == (studies.WHOLE if study.study != "black-border" else published.RE_ESTIMATED)
        lesioned_on = studies.FEWER_IMAGES.get(study.study, studies.NUM_IMAGES)
        assert study.num_images == (lesioned_on if study.study in published.LESIONS else 10_000)


@pytest.mark.parametrize("name", NETS)
def test_committed_errors_are_those_that_their_authors_give(name: str) -> None:
    study = Records.committed().published("whole-net", name)
    assert study.value[0] == pytest.approx(NETS[name].file.error, abs=0.0201)
    assert 100 * (1 - study.test_images.unpacked().mean()) == pytest.approx(study.value[0])
    # Its lesions start from the same net, on fewer images and in coarser arithmetic.
    for lesion in set(published.LESIONS) & set(published.studies_of(NETS[name])):
        used = studies.FEWER_IMAGES.get(lesion, studies.NUM_IMAGES)
        few = 100 * (1 - study.test_images.unpacked()[:used].mean())
        assert Records.committed().published(lesion, name).value[0] == pytest.approx(few, abs=0.5)


def is_here(name: str) -> bool:
    places = (Path(BROUGHT or ".") / place for place in (f"published/{NETS[name].place}", "cifar10.npz"))
    return BROUGHT is not None and all(place.exists() for place in places)


@pytest.mark.parametrize("name", NETS)
def test_a_net_gives_its_authors_error_on_our_copy_of_cifar10(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Minutes on a processor. The very images that are right are compared, on which another device may differ a bit."""
    if not is_here(name):
        pytest.skip("needs cifar10.npz and published/ with the nets in RESNET_LIB_DATA")
    monkeypatch.setenv("RESNET_LIB_DATA", BROUGHT)
    net = NETS[name]
    found = training.evaluate(published.load(net), published.dataset_of(net), "test", CPU)
    assert found.error == pytest.approx(net.file.error, abs=0.0201)
    recorded = Records.committed().published("whole-net", name).test_images.unpacked()
    assert (found.right.numpy() != recorded).sum() <= 4


@pytest.mark.parametrize("name", [name for name in NETS if name.startswith("akamaster")])
def test_akamasters_files_tell_of_an_epoch_that_was_better(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if not is_here(name):
        pytest.skip("needs cifar10.npz and published/ with the nets in RESNET_LIB_DATA")
    monkeypatch.setenv("RESNET_LIB_DATA", BROUGHT)
    content = torch.load(published.fetch(NETS[name]), map_location="cpu", weights_only=True)
    assert 100 - content["best_prec1"] == pytest.approx(NETS[name].file.best_error, abs=1e-4)
