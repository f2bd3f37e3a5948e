"""Training from folders of images: views, sharing out of batches, many processes, interruptions."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from math import isfinite
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from samples import HUNG, can_compile, complaint, refuse_more_than, surroundings
from torch.nn import functional as F

from resnet_lib.cli import main
from resnet_lib.data.batches import Epoch, Share
from resnet_lib.jobs import campaign
from resnet_lib.nets.build import build
from resnet_lib.nets.models import ImageNetNet, initialize
from resnet_lib.runs.config import RunConfig, changed
from resnet_lib.runs.settings import table1
from resnet_lib.runs.store import Records, local_dir
from resnet_lib.training import TimeLimitReached, imagenet, protocols, train
from resnet_lib.training.hardware import Hardware
from resnet_lib.training.imagenet import COLOUR_DIRECTIONS, Folder, TrainingViews, open_folder
from resnet_lib.training.processes import Group
from resnet_lib.training.protocols import MEAN, STD, find_images

CPU = Hardware.choose("cpu", "fp32")
SIZE = 32


def make_folder(path: Path, classes: int = 3, train: int = 16, val: int = 4) -> Path:
    """Images of random colours, sizes and shapes, which can be learnt by heart."""
    generator = np.random.default_rng(0)
    for split, count in (("train", train), ("val", val)):
        for label in range(classes):
            folder = path / split / f"n{label:08d}"
            folder.mkdir(parents=True)
            for number in range(count):
                height, width = generator.integers(40, 90, 2)
                pixels = generator.integers(0, 256, (height // 8, width // 8, 3), dtype=np.uint8)
                Image.fromarray(pixels).resize((int(width), int(height))).save(folder / f"{number}.JPEG")
    return path


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_folder(tmp_path_factory.mktemp("images"))


@pytest.fixture(scope="module")
def folder(path: Path) -> Folder:
    return open_folder(path)


def small(folder: Folder, **changes: object) -> RunConfig:
    """ResNet-18 at 32 pixels, 12 iterations of 16 images, with a test every 3."""
    recipe = changed(imagenet.recipe(len(folder.train.files), batch_size=16, epochs=4), precision="fp32", **changes)
    return imagenet.run(table1(18, "A").net, folder, 0, recipe, SIZE)


# The folder and the recipe.


def test_the_papers_recipe_comes_out_for_imagenets_own_size() -> None:
    recipe = imagenet.recipe(imagenet.IMAGENET_IMAGES)
    assert recipe.iterations == 120 * 5004  # of the paper's 600,000
    assert recipe.milestones == (30 * 5004, 60 * 5004, 90 * 5004)
    assert (recipe.batch_size, recipe.lr, recipe.momentum, recipe.weight_decay) == (256, 0.1, 0.9, 1e-4)


def test_the_learning_rate_grows_with_the_batch_and_the_steps_keep_their_place() -> None:
    recipe = imagenet.recipe(10_240, batch_size=1024, epochs=12)
    assert recipe.lr == pytest.approx(0.4)
    assert (recipe.iterations, recipe.milestones) == (120, (30, 60, 90))


def test_a_folder_tells_its_contents_apart_and_is_not_taken_for_imagenet(tmp_path: Path) -> None:
    first = open_folder(make_folder(tmp_path / "a"))
    assert first.digest == open_folder(make_folder(tmp_path / "b")).digest
    assert first.name == f"folder-{first.digest}"
    (tmp_path / "a" / "train" / "n00000000" / "0.JPEG").unlink()
    assert open_folder(tmp_path / "a").digest != first.digest


def test_folders_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    path = make_folder(tmp_path / "images", train=1, val=1)
    (path / "val" / "n00000001").rename(path / "val" / "n00000009")
    assert "train and val have different classes (n00000001 is in one of them)" in complaint(lambda: open_folder(path))
    assert str(tmp_path / "train") in complaint(lambda: open_folder(tmp_path))
    assert complaint(lambda: imagenet.recipe(100)) == (
        "batch size is 256, but there are 100 training images; take a smaller batch"
    )


# Views.


def normalised(image: Image.Image) -> torch.Tensor:
    pixels = torch.from_numpy(np.array(image)).permute(2, 0, 1) / 255
    return (pixels - torch.tensor(MEAN)[:, None, None]) / torch.tensor(STD)[:, None, None]


def test_a_view_is_a_crop_of_a_resized_or_mirrored_image_with_one_colour_added(tmp_path: Path) -> None:
    """An independent search: some side, place and mirroring must explain each view up to a constant per channel."""
    rows, columns = np.mgrid[:60, :90]
    pixels = np.stack([rows * 4, columns * 2, (rows * columns) % 256], axis=2).astype(np.uint8)
    original = Image.fromarray(pixels)
    (tmp_path / "a").mkdir()
    original.save(tmp_path / "a" / "0.png")
    views = TrainingViews(find_images(tmp_path), SIZE, seed=3)
    sides, mirrored, shifts = set(), set(), []
    for epoch in range(4):
        view, label = views[epoch, 0]
        assert (view.shape, view.dtype, label) == ((3, SIZE, SIZE), torch.float32, 0)
        found = None
        for side in range(256 * SIZE // 224, 480 * SIZE // 224 + 1):
            resized = normalised(original.resize((90 * side // 60, side), Image.Resampling.BILINEAR))
            for flip in (False, True):
                candidates = (resized.flip(2) if flip else resized).unfold(1, SIZE, 1).unfold(2, SIZE, 1)
                difference = view[:, None, None] - candidates  # (3, places, places, S, S)
                spread = (difference.amax((3, 4)) - difference.amin((3, 4))).amax(0)
                if spread.min() < 1e-4:
                    y, x = divmod(int(spread.argmin()), spread.shape[1])
                    found = side, flip, difference[:, y, x].mean((1, 2)) * torch.tensor(STD)
        assert found, epoch
        sides.add(found[0]), mirrored.add(found[1]), shifts.append(found[2])
    assert len(sides) > 2
    assert mirrored == {False, True}
    deviations = torch.stack(shifts).abs()
    assert 0 < deviations.max() < 0.2175  # a multiple of about 0.1 of the main direction


def test_colours_shift_along_orthogonal_directions() -> None:
    directions = torch.tensor(COLOUR_DIRECTIONS)
    assert torch.allclose(directions.T @ directions, torch.eye(3), atol=1e-3)


def test_a_view_depends_on_seed_epoch_and_image_alone(folder: Folder) -> None:
    views = TrainingViews(folder.train, SIZE, seed=0)
    first, _ = views[2, 5]
    torch.manual_seed(99)
    before = torch.get_rng_state()
    assert torch.equal(views[2, 5][0], first)
    assert torch.equal(torch.get_rng_state(), before)
    for other in (views[3, 5][0], views[2, 6][0], TrainingViews(folder.train, SIZE, seed=1)[2, 5][0]):
        assert not torch.equal(other, first)


@pytest.mark.parametrize("split", ["train", "test"])
def test_every_image_is_tested_once_by_one_process(split: str, folder: Folder) -> None:
    views = folder.for_run(small(folder), torch.device("cpu"))
    (whole,), images = list(views.views(split)), {"train": folder.train, "test": folder.val}[split]
    assert whole[1].tolist() == list(images.labels)
    for size in (5, 60):  # more processes than images are possible, too
        shares = [list(views.views(split, Share(rank, size))) for rank in range(size)]
        for rank, share in enumerate(shares):
            for pixels, labels in share:
                assert torch.equal(pixels, whole[0][rank::size])
                assert torch.equal(labels, whole[1][rank::size])
        assert sum(len(labels) for share in shares for _, labels in share) == len(images.files)


# Training.


def test_losses_are_those_of_a_plain_loop(folder: Folder) -> None:
    """Written out without anything of the library's but the net, its start and the views."""
    config = small(folder, log_every=1, milestones=(2,), iterations=4)
    record, net = train(config, folder, CPU)
    views = TrainingViews(folder.train, SIZE, seed=0)
    slow = build(config.net, num_classes=3)
    initialize(slow, 0)
    weights = [p for p in slow.parameters() if p.dim() > 1]
    others = [p for p in slow.parameters() if p.dim() <= 1]
    momenta = {p: torch.zeros_like(p) for p in slow.parameters()}
    for iteration in range(4):
        epoch, position = divmod(iteration, 3)
        order = Epoch.draw(48, 0, 0, epoch, torch.device("cpu")).order[position * 16 : (position + 1) * 16]
        batch = [views[epoch, int(image)] for image in order]
        loss = F.cross_entropy(
            slow(torch.stack([view for view, _ in batch])), torch.tensor([label for _, label in batch])
        )
        assert record.train_curve.loss[iteration] == pytest.approx(loss.item(), rel=2e-3)
        slow.zero_grad()
        loss.backward()
        lr = config.recipe.lr * (0.1 if iteration >= 2 else 1)
        with torch.no_grad():
            for p in [*weights, *others]:
                momenta[p] = 0.9 * momenta[p] + p.grad + (1e-4 * p if p.dim() > 1 else 0)
                p -= lr * momenta[p]
    for ours, theirs in zip(net.parameters(), slow.parameters(), strict=True):
        assert torch.allclose(ours, theirs, rtol=1e-2, atol=1e-4)


def test_the_errors_recorded_are_those_by_centre_crop(folder: Folder) -> None:
    record, net = train(small(folder), folder, CPU)
    assert record.test_curve.iteration == (3, 6, 9, 12)
    net.eval()
    for images, measured in ((folder.val, record.final.test_error), (folder.train, record.final.train_error)):
        wrong = 0
        for file, label in zip(images.files, images.labels, strict=True):
            image = Image.open(file).convert("RGB")
            side = 256 * SIZE // 224
            short = min(image.size)
            image = image.resize((side * image.width // short, side * image.height // short), Image.Resampling.BILINEAR)
            left, top = round((image.width - SIZE) / 2), round((image.height - SIZE) / 2)
            view = normalised(image.crop((left, top, left + SIZE, top + SIZE)))
            with torch.no_grad():
                wrong += int(net(view[None]).argmax() != label)
        assert measured == pytest.approx(100 * wrong / len(images.files), rel=1e-5)
    assert record.provenance.data_digest == folder.digest


@pytest.mark.fault("bad image")
def test_a_damaged_training_image_is_named_also_by_a_loaders_worker(tmp_path: Path) -> None:
    path = make_folder(tmp_path / "images")
    damaged = path / "train" / "n00000001" / "3.JPEG"
    damaged.write_bytes(damaged.read_bytes()[:200])
    for workers in (0, 1):
        folder = open_folder(path, workers)
        message = complaint(lambda folder=folder: train(small(folder), folder, CPU))
        assert message.startswith(f"{damaged} cannot be read as an image (")


@pytest.mark.fault("loss that is not finite")
def test_a_loss_that_is_not_finite_stops_the_run(folder: Folder) -> None:
    message = complaint(lambda: train(small(folder, lr=1e30), folder, CPU))
    assert re.search(r": the loss is (nan|inf) after 3 iterations at lr 1e\+30; lower lr$", message)


@pytest.mark.fault("GPU out of memory")
@pytest.mark.parametrize(("accumulate", "most", "advice"), [(1, 5, 4), (2, 5, 4), (2, 3, 8)])
def test_when_memory_is_short_the_message_names_the_option(
    accumulate: int, most: int, advice: int, folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    refuse_more_than(most, monkeypatch, ImageNetNet)
    message = complaint(lambda: train(small(folder), folder, CPU, Group(parts=accumulate)))
    assert f": {16 // accumulate} images at once need more memory than the GPU has free; " in message
    assert f"{16 // advice} fit, as a trial shows: take batch_size " in message
    assert f"or {advice} parts of this one (on ImageNet --accumulate {advice}), free some" in message


def test_a_run_stopped_at_its_time_limit_goes_on_to_the_same_record(folder: Folder, tmp_path: Path) -> None:
    config, checkpoint = small(folder), tmp_path / "run.pt"
    whole, net = train(config, folder, CPU)
    stops = 0
    while True:
        try:
            record, resumed = train(config, folder, CPU, checkpoint=checkpoint, time_limit=1e-6)
            break
        except TimeLimitReached:
            stops += 1
    assert stops == 11
    assert (record.train_curve, record.test_curve, record.final) == (whole.train_curve, whole.test_curve, whole.final)
    assert all(torch.equal(a, b) for a, b in zip(net.parameters(), resumed.parameters(), strict=True))


# The command.


def test_table_3_trains_at_full_size_and_its_weights_are_tested(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = make_folder(tmp_path / "images", classes=2, train=2, val=1)
    command = ["train-imagenet", str(path), "--suite", "table3", "--epochs", "1", "--batch-size", "4"]
    command += ["--accumulate", "2", "--workers", "1", "--device", "cpu"]
    assert main([*command, "--plan"]) == 0
    planned = capsys.readouterr()
    assert "batch 4 = 1 processes x 2 parts x 2 images at once; lr 0.0015625 = 0.1 x 4 / 256" in planned.err
    assert planned.out.startswith("4.4e+10 multiply-adds  plain-34-Table-1_")  # 3 x 4 images x 3.64e9
    assert not list(Records(local_dir()))
    assert main(command) == 0
    assert "4 of 4 runs recorded" in capsys.readouterr().out
    assert main(command) == 0
    assert "runs: 4, to train: 0" in capsys.readouterr().err
    records = {record.config.net.name: record for record in Records(local_dir())}
    for name in ("plain-34", "resnet-34-A", "resnet-34-B", "resnet-34-C"):
        kind, _, option = name.partition("-34")
        record = records[f"{'ResNet' if option else kind}-34{option.replace('-', ' ')} (Table 1)"]
        assert (record.provenance.processes, record.provenance.parts) == (1, 2)
        assert isfinite(record.train_curve.loss[-1])
        net = protocols.load_net(f"{name}={campaign.weights_path(record.config)}")
        (result,) = protocols.evaluate([net], find_images(path / "val"), [protocols.PROTOCOLS["centre"]], device="cpu")
        assert result.images == 2
        assert result.top1_error in (0, 50, 100)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["IMAGES", "--suite", "degradation"], "suite degradation has nets that are not made for ImageNet"),
        (["IMAGES", "--suite", "tabel2"], "no suite is called 'tabel2'; did you mean table2"),
        (["NOWHERE", "--suite", "table2"], "NOWHERE/train is no folder"),
        (["IMAGES", "--suite", "table2"], "batch size is 256, but there are 48 training images"),
    ],
)
def test_words_that_make_no_sense_together_are_refused(
    words: list[str], message: str, path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["train-imagenet", *(str(path) if word == "IMAGES" else word for word in words)]) == 2
    told = capsys.readouterr().err
    assert told.startswith(f"resnet_lib: {message}")
    assert told.count("\n") == 1


# Two processes.

PROGRAM = """
import json, os, sys
from pathlib import Path
import torch
from resnet_lib.runs.config import RunConfig
from resnet_lib.training import Hardware, train
from resnet_lib.training.imagenet import open_folder
from resnet_lib.training.processes import joined

config, images, out = RunConfig.model_validate_json(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3])
with joined("cpu", int(sys.argv[4])) as (group, device):
    (out / f"pid{group.rank}").write_text(str(os.getpid()))

    def progress(point):
        with open(out / "progress", "a") as file:
            print(point.iteration, file=file)

    record, net = train(
        config, open_folder(images), Hardware.choose("cpu", "fp32", compiled=sys.argv[5] == "compiled"), group,
        checkpoint=out / "run.pt", checkpoint_every=0, progress=progress if group.rank == 0 else None,
    )
    torch.save(dict(net.named_parameters()), out / f"net{group.rank}.pt")
    if group.rank == 0:
        (out / "record.json").write_text(record.to_json())
"""


def start(
    config: RunConfig, path: Path, out: Path, processes: int, accumulate: int, how: str = "separate"
) -> subprocess.Popen:
    out.mkdir(exist_ok=True)
    (out / "program.py").write_text(PROGRAM)
    launcher = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", str(processes)]
    launcher += ["--standalone", "--max-restarts", "1", "--monitor-interval", "0.1"]
    arguments = [config.model_dump_json(exclude_defaults=True), str(path), str(out), str(accumulate), how]
    return subprocess.Popen(
        [*launcher, str(out / "program.py"), *arguments],
        env=surroundings(OMP_NUM_THREADS="1"),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(process: subprocess.Popen, out: Path) -> tuple[dict, dict[str, torch.Tensor]]:
    _, errors = process.communicate(timeout=HUNG)
    assert process.returncode == 0, errors[-3000:]
    return json.loads((out / "record.json").read_text()), torch.load(out / "net0.pt", weights_only=True)


@pytest.fixture(scope="module")
def longer(folder: Folder) -> RunConfig:
    """At this learning rate training is no chaos yet: rounding stays what it is, and does not grow tenfold a step."""
    return small(folder, iterations=12, milestones=(8,), log_every=1, lr=1e-3)


@pytest.fixture(scope="module")
def two(longer: RunConfig, path: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[dict, dict]]:
    """What two undisturbed processes give."""
    out = tmp_path_factory.mktemp("two") / "out"
    yield finish(start(longer, path, out, processes=2, accumulate=1), out)
    same = [torch.load(out / f"net{rank}.pt", weights_only=True) for rank in (0, 1)]
    assert all(torch.equal(same[0][name], same[1][name]) for name in same[0])


def test_two_processes_give_what_one_gives_that_accumulates_the_halves(
    two: tuple[dict, dict], longer: RunConfig, folder: Folder
) -> None:
    record, weights = two
    alone, net = train(longer, folder, CPU, Group(parts=2))
    losses = record["train_curve"]["loss"]
    assert losses == pytest.approx(alone.train_curve.loss, rel=1e-4)
    for name, parameter in net.named_parameters():
        assert (weights[name] - parameter).norm() <= 1e-4 * max(parameter.norm(), 1), name
    whole, _ = train(longer, folder, CPU)  # batch norm over whole batches: not the same
    assert losses != pytest.approx(whole.train_curve.loss, rel=1e-2)


@pytest.mark.skipif(not can_compile(), reason="no compiler for fused operations here")
def test_two_processes_with_fused_operations_give_what_one_gives(
    longer: RunConfig, folder: Folder, path: Path, tmp_path: Path
) -> None:
    record, weights = finish(start(longer, path, tmp_path, processes=2, accumulate=1, how="compiled"), tmp_path)
    alone, net = train(longer, folder, Hardware.choose("cpu", "fp32", compiled=True), Group(parts=2))
    assert record["provenance"]["compiled"] and alone.provenance.compiled
    assert record["train_curve"]["loss"] == pytest.approx(alone.train_curve.loss, rel=1e-4)
    for name, parameter in net.named_parameters():
        assert (weights[name] - parameter).norm() <= 1e-4 * max(parameter.norm(), 1), name


def test_what_one_process_began_two_go_on_with(folder: Folder, path: Path, tmp_path: Path) -> None:
    """Also between two points of the curve."""
    config = small(folder, milestones=(8,), log_every=4, lr=1e-3)
    alone, _ = train(config, folder, CPU, Group(parts=2))
    for _ in range(6):
        with pytest.raises(TimeLimitReached):
            train(config, folder, CPU, Group(parts=2), checkpoint=tmp_path / "run.pt", time_limit=1e-9)
    record, _ = finish(start(config, path, tmp_path, processes=2, accumulate=1), tmp_path)
    for column in ("iteration", "loss", "error"):
        assert record["train_curve"][column] == pytest.approx(getattr(alone.train_curve, column), rel=1e-4), column


@pytest.mark.fault("killed process")
def test_when_a_process_is_killed_torchrun_starts_again_from_the_checkpoint(
    two: tuple[dict, dict], longer: RunConfig, path: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    process = start(longer, path, out, processes=2, accumulate=1)
    deadline = time.monotonic() + 120
    told = out / "progress"
    while not told.exists() or len(told.read_text().split()) < 6:
        assert time.monotonic() < deadline and process.poll() is None
        time.sleep(0.02)
    os.kill(int((out / "pid1").read_text()), signal.SIGKILL)
    record, weights = finish(process, out)
    iterations = [int(line) for line in told.read_text().split()]
    again = next(i for i in range(1, len(iterations)) if iterations[i] != iterations[i - 1] + 1 or i == len(iterations))
    assert iterations[again] > 1  # it went on, instead of beginning anew
    assert {key: record[key] for key in ("train_curve", "test_curve", "final")} == {
        key: two[0][key] for key in ("train_curve", "test_curve", "final")
    }
    assert all(torch.equal(weights[name], two[1][name]) for name in weights)
