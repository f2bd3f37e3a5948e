"""A checkpoint proves itself: it is what was saved, of this run, for this net, or it is refused in one line."""

import random
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from samples import PLAIN_8, measured, tiny_config, tiny_dataset

from resnet_lib.errors import UserError
from resnet_lib.runs.config import RunConfig
from resnet_lib.runs.records import RunRecord
from resnet_lib.training import Hardware, TimeLimitReached, build, make_optimizer, provenance, train
from resnet_lib.training.checkpoints import contents, load_checkpoint, seal

CPU = torch.device("cpu")
FP32, BF16 = (Hardware(CPU, precision, compiled=False) for precision in ("fp32", "bf16"))
IN_ONE_FOLDER = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)


def stopped(path: Path, config: RunConfig | None = None, hardware: Hardware = FP32) -> None:
    """Trains for one iteration more."""
    with pytest.raises(TimeLimitReached):
        train(config or tiny_config(), tiny_dataset(), hardware, checkpoint=path, time_limit=1e-9)


def finished(path: Path, config: RunConfig | None = None, hardware: Hardware = FP32) -> RunRecord:
    return train(config or tiny_config(), tiny_dataset(), hardware, checkpoint=path)[0]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A checkpoint after seven iterations: with a point of either curve, and something in the sums."""
    path = tmp_path_factory.mktemp("whole") / "run.pt"
    for _ in range(7):
        stopped(path)
    return path.read_bytes()


def complaint(path: Path, config: RunConfig | None = None) -> str:
    """What loading a checkpoint answers; training itself is not tried, as it would go on."""
    config = config or tiny_config()
    net = build(config.net, 1, 10, 16)
    with pytest.raises(UserError) as caught:
        load_checkpoint(path, config, tiny_dataset().digest, net, make_optimizer(net, config.recipe))
    message = str(caught.value)
    assert "\n" not in message
    return message


def refused_as_damaged(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    message = complaint(path)
    assert message.startswith(f"checkpoint {path} is damaged (")
    assert message.endswith("); delete it to start the run anew")


@pytest.mark.fault("file from a stranger")
def test_not_one_flipped_bit_is_accepted(whole: bytes, tmp_path: Path) -> None:
    draw = random.Random(0)
    header = range(120)  # where a flip would hit the digest itself
    for position in [*header, *(draw.randrange(len(whole)) for _ in range(500))]:
        flipped = bytearray(whole)
        flipped[position] ^= 1 << draw.randrange(8)
        refused_as_damaged(tmp_path / "run.pt", bytes(flipped))


@pytest.mark.fault("file from a stranger")
@IN_ONE_FOLDER
@given(content=st.binary(max_size=300), sealed=st.booleans())
def test_any_bytes_are_no_checkpoint(content: bytes, sealed: bool, tmp_path: Path) -> None:
    refused_as_damaged(tmp_path / "run.pt", seal(content) if sealed else content)


@pytest.mark.fault("file from a stranger")
def test_half_a_checkpoint_and_an_older_kind_are_refused(whole: bytes, tmp_path: Path) -> None:
    refused_as_damaged(tmp_path / "run.pt", whole[: len(whole) // 2])
    refused_as_damaged(tmp_path / "run.pt", whole + b"\0")
    torch.save({"run": tiny_config().name}, tmp_path / "old.pt")
    refused_as_damaged(tmp_path / "run.pt", (tmp_path / "old.pt").read_bytes())


def forged(path: Path, whole: bytes, change: Callable[[dict[str, Any]], object]) -> None:
    """Writes a checkpoint in which something was changed by somebody who can compute a digest."""
    path.write_bytes(whole)
    state = contents(path)
    change(state)
    torch.save(state, path)
    path.write_bytes(seal(path.read_bytes()))


def replaced(*where: str) -> Callable[[Any], Callable[[dict[str, Any]], object]]:
    """A change that puts something else into a place of a checkpoint."""

    def by(value: object) -> Callable[[dict[str, Any]], object]:
        def change(state: dict[str, Any]) -> None:
            for key in where[:-1]:
                state = state[key]
            state[where[-1]] = value

        return change

    return by


WEIGHT, MOMENT = ("net", "conv1.weight"), ("optimizer", "conv1.weight", "momentum_buffer")
SHAPE = (16, 1, 3, 3)
SEGMENT = {"iteration": 0, "git_commit": None, "git_dirty": None, "torch": "2", "device": "d", "precision": "int3"}
FORGERIES: dict[str, Callable[[dict[str, Any]], object]] = {
    "a list for a name": replaced("run")([[tiny_config().name]]),
    "a part gone": lambda state: state.pop("optimizer"),
    "a list for a net": replaced("net")([]),
    "a weight gone": lambda state: state["net"].pop("fc.bias"),
    "a weight too many": replaced("net", "fc.scale")(torch.zeros(1)),
    "a number for a weight": replaced(*WEIGHT)(3),
    "a weight of another shape": replaced(*WEIGHT)(torch.zeros(1)),
    "a weight of another type": replaced(*WEIGHT)(torch.zeros(SHAPE, dtype=torch.float64)),
    "a weight without memory": replaced(*WEIGHT)(torch.zeros(SHAPE, device="meta")),
    "a sparse weight": replaced(*WEIGHT)(torch.zeros(SHAPE).to_sparse()),
    "a velocity of one number": replaced(*MOMENT)(torch.zeros(1)),
    "a velocity of another type": replaced(*MOMENT)(torch.zeros(SHAPE, dtype=torch.int64)),
    "a velocity without memory": replaced(*MOMENT)(torch.zeros(SHAPE, device="meta")),
    "no velocity": replaced(*MOMENT)(None),
    "a state of another optimiser": replaced("optimizer", "conv1.weight")({"exp_avg": torch.zeros(SHAPE)}),
    "a state of no weight": replaced("optimizer", "somewhere")({}),
    "an iteration after the end": replaced("course", "iteration")(13),
    "a negative iteration": replaced("course", "iteration")(-1),
    "half an iteration": replaced("course", "iteration")(1.5),
    "a true iteration": replaced("course", "iteration")(True),
    "negative time": replaced("course", "seconds")(-1.0),
    "endless time": replaced("course", "seconds")(float("inf")),
    "one sum": replaced("course", "sums")(torch.zeros(1, dtype=torch.float64)),
    "a point without error": replaced("course", "train_points")([(5, 0.1, 2.0)]),
    "a point from the future": replaced("course", "test_points")([(8, 2.0, 90.0)]),
    "points out of order": replaced("course", "train_points")([(5, 0.1, 2.0, 90.0), (5, 0.1, 2.0, 90.0)]),
    "words in a curve": replaced("course", "test_points")([(6, "low", 90.0)]),
    "no list of parts": replaced("course", "segments")(None),
    "a part in a precision that is none": replaced("course", "segments")([SEGMENT]),
    "probes of nothing": replaced("course", "probes")([{}]),
    "nothing noted": replaced("course")({}),
    "a list of nothing noted": replaced("course")([]),
}


@pytest.mark.fault("file from a stranger")
@pytest.mark.parametrize("change", FORGERIES.values(), ids=FORGERIES)
def test_a_forged_checkpoint_is_refused(change: Any, whole: bytes, tmp_path: Path) -> None:
    forged(tmp_path / "run.pt", whole, change)
    refused_as_damaged(tmp_path / "run.pt", (tmp_path / "run.pt").read_bytes())


@pytest.mark.fault("file from a stranger")
def test_velocities_that_share_one_number_are_given_memory_of_their_own(whole: bytes, tmp_path: Path) -> None:
    """torch would write to all of them in one place, or beyond it."""
    path, config = tmp_path / "run.pt", tiny_config()
    forged(path, whole, replaced(*MOMENT)(torch.zeros(1).expand(SHAPE)))
    net = build(config.net, 1, 10, 16)
    optimizer = make_optimizer(net, config.recipe)
    load_checkpoint(path, config, tiny_dataset().digest, net, optimizer)
    places = [moments["momentum_buffer"].untyped_storage() for moments in optimizer.state.values()]
    sizes = [parameter.numel() * parameter.element_size() for parameter in optimizer.state]
    assert [place.nbytes() for place in places] == sizes
    assert len({place.data_ptr() for place in places}) == len(places)


@pytest.mark.fault("file from a stranger")
def test_nothing_that_the_recipe_says_is_taken_from_the_file(whole: bytes, tmp_path: Path) -> None:
    assert b"weight_decay" not in whole
    assert b"param_groups" not in whole


@pytest.mark.fault("file from a stranger")
def test_a_checkpoint_with_code_in_it_is_refused_and_not_run(tmp_path: Path) -> None:
    class Malicious:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return Path.touch, (tmp_path / "was run",)

    torch.save({"run": tiny_config().name, "net": Malicious()}, tmp_path / "code.pt")
    refused_as_damaged(tmp_path / "run.pt", seal((tmp_path / "code.pt").read_bytes()))
    assert not (tmp_path / "was run").exists()


@pytest.mark.fault("file from a stranger")
def test_a_checkpoint_of_another_run_is_refused(whole: bytes, tmp_path: Path) -> None:
    path, other = tmp_path / "run.pt", tiny_config(seed=1)
    path.write_bytes(whole)
    assert complaint(path, other) == (
        f"checkpoint {path} belongs to '{tiny_config().name}', not {other.name}; delete or move it"
    )


def test_a_run_does_not_go_on_with_other_data(whole: bytes, tmp_path: Path) -> None:
    path = tmp_path / "run.pt"
    forged(path, whole, replaced("course", "data_digest")("0123456789abcdef"))
    message = complaint(path)
    assert message.startswith(f"checkpoint {path} was made with another copy of fashion-mnist-mini (digest '01234567")


# What the record of an interrupted run says of its parts.


def test_a_run_left_alone_has_no_parts(tmp_path: Path) -> None:
    assert finished(tmp_path / "run.pt").provenance.segments == ()


@pytest.mark.fault("code or data changed on the way")
def test_going_on_with_other_code_is_refused_or_told_and_recorded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "run.pt"
    monkeypatch.setattr(provenance, "git_state", lambda: ("c0ffee", False))
    stopped(path)
    stopped(path)
    monkeypatch.setattr(provenance, "git_state", lambda: ("decade", True))
    monkeypatch.setattr(provenance, "code_digest", lambda: "0123")
    with pytest.raises(UserError, match=r"commit c0ffee, here commit decade, changed\); .*accept-changes"):
        finished(path)
    record, _ = train(tiny_config(), tiny_dataset(), FP32, checkpoint=path, accept_changes=True)
    assert "begun by other code" in capfd.readouterr().err
    origin = record.provenance
    assert [(part.iteration, part.git_commit, part.git_dirty) for part in origin.segments] == [
        (0, "c0ffee", False),
        (1, "c0ffee", False),
        (2, "decade", True),
    ]
    assert (origin.git_commit, origin.git_dirty) == ("decade", True)


def test_a_run_that_goes_on_in_another_precision_says_so(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path, config = tmp_path / "run.pt", tiny_config(precision="auto")
    stopped(path, config, BF16)
    assert capfd.readouterr().err == ""
    record = finished(path, config, FP32)
    told = capfd.readouterr().err
    assert told.startswith(f"{config.name}: begun in bf16, goes on in fp32")
    assert [part.precision for part in record.provenance.segments] == ["bf16", "fp32"]


def test_seconds_count_all_parts_of_an_interrupted_run(tmp_path: Path) -> None:
    path = tmp_path / "run.pt"
    stopped(path)
    forged(path, path.read_bytes(), replaced("course", "seconds")(1000.0))
    assert 1000 < finished(path).provenance.seconds < 1100


@pytest.mark.parametrize("optimizer", ["adam", "rmsprop"])
def test_the_state_of_each_optimiser_can_be_stored(optimizer: str, tmp_path: Path) -> None:
    config = tiny_config(PLAIN_8, optimizer=optimizer, lr=0.001)
    stopped(tmp_path / "run.pt", config)
    interrupted = finished(tmp_path / "run.pt", config)
    assert measured(interrupted) == measured(finished(tmp_path / "other.pt", config))


@pytest.mark.parametrize("name", ["training/provenance.py", "fused.cpp", "training/winograd.h"])
def test_a_change_of_any_source_is_a_change_of_the_code(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for command in (["init", "-q"], ["config", "user.email", "a@b"], ["config", "user.name", "a"]):
        subprocess.run(["git", *command], cwd=tmp_path, check=True)
    (tmp_path / "training").mkdir()
    for path in ("training/provenance.py", name):
        (tmp_path / path).write_text("one")
    for command in (["add", "."], ["commit", "-qm", "one"]):
        subprocess.run(["git", *command], cwd=tmp_path, check=True)
    monkeypatch.setattr(provenance, "PACKAGE", tmp_path)
    before = provenance.code_digest.__wrapped__(), provenance.git_state()[1]
    (tmp_path / name).write_text("two")
    after = provenance.code_digest.__wrapped__(), provenance.git_state()[1]
    assert before[0] != after[0]
    assert (before[1], after[1]) == (False, True)
