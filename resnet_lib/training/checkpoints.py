"""The state of an unfinished run in a file that proves itself: a digest, then what torch saves.

Nothing that the config says is taken from the file. What is taken is checked against what the config builds.
"""

import hashlib
import io
from dataclasses import dataclass, field
from math import isfinite
from pathlib import Path
from typing import Any

import torch
from pydantic import ValidationError
from torch import Tensor, nn

from resnet_lib.errors import UserError, reason
from resnet_lib.files import read_regular, write_atomically
from resnet_lib.runs.config import Recipe, RunConfig
from resnet_lib.runs.records import ProbesAt, Segment
from resnet_lib.training.saved import copied, is_plain, load_saved

MAGIC = b"resnet_lib checkpoint 2 "
HEADER = len(MAGIC) + 64 + 1  # the magic, a SHA-256 in hexadecimal digits, the end of the line

TrainPoint = tuple[int, float, float, float]  # iteration, lr, loss, error
TestPoint = tuple[int, float, float]  # iteration, loss, error


@dataclass
class Course:
    """How far a run is and what has been noted on the way: all of its state but the net's and the optimizer's.

    `sums` holds the loss and the errors since the last training point, `seconds` those of the parts before.
    """

    data_digest: str
    iteration: int = 0
    seconds: float = 0.0
    sums: Tensor = field(default_factory=lambda: torch.zeros(2, dtype=torch.float64))
    train_points: list[TrainPoint] = field(default_factory=list)
    test_points: list[TestPoint] = field(default_factory=list)
    probes: list[ProbesAt] = field(default_factory=list)
    segments: list[Segment] = field(default_factory=list)


class Damaged(Exception):
    """What is wrong with a checkpoint."""


def save_checkpoint(
    path: Path, config: RunConfig, course: Course, net: nn.Module, optimizer: torch.optim.Optimizer
) -> None:
    """Writes the state of a run atomically: a process killed while saving leaves the checkpoint before."""
    noted = vars(course) | {
        "probes": [probes.model_dump(mode="json") for probes in course.probes],
        "segments": [segment.model_dump(mode="json") for segment in course.segments],
    }
    state = {"run": config.name, "course": noted, "net": net.state_dict(), "optimizer": _moments(net, optimizer)}
    buffer = io.BytesIO()
    torch.save(state, buffer)
    write_atomically(path, lambda file: file.write(seal(buffer.getvalue())))


def seal(content: bytes) -> bytes:
    """The content behind a line with its digest."""
    return MAGIC + hashlib.sha256(content).hexdigest().encode() + b"\n" + content


def load_checkpoint(
    path: Path,
    config: RunConfig,
    data_digest: str,
    net: nn.Module,
    optimizer: torch.optim.Optimizer,
    accept_other_data: bool = False,
) -> Course:
    """Puts net and optimizer into the state of a checkpoint; returns how far the run is.

    Only tensors and plain values are unpickled. If anything is wrong, net and optimizer are of no use any more. Whether
    the code is the same is for `provenance.tell_changes` to see.

    Raises:
        UserError: the file is damaged, belongs to another run, or was made with other data.
    """
    try:
        state = contents(path)
        other = state.get("run")
        if not isinstance(other, str):
            raise Damaged("parts are missing")
        if other != config.name:
            raise UserError(f"checkpoint {path} belongs to {other[:200]!r}, not {config.name}; delete or move it")
        course = _course(state.get("course"), config.recipe)
        _load_net(net, state.get("net"))
        _load_moments(net, optimizer, config.recipe, state.get("optimizer"))
    except (UserError, torch.OutOfMemoryError):
        raise
    except Exception as damage:  # mostly Damaged; forged tensors have more ways to refuse what is done with them
        raise UserError(f"checkpoint {path} is damaged ({reason(damage)}); delete it to start the run anew") from None
    if course.data_digest != data_digest and not accept_other_data:
        raise UserError(
            f"checkpoint {path} was made with another copy of {config.data.name} (digest {course.data_digest[:16]!r}, "
            f"here {data_digest!r}); bring that one back, add --accept-changes to go on, or delete the checkpoint "
            "to start the run anew"
        )
    course.data_digest = data_digest
    return course


def contents(path: Path) -> dict[str, Any]:
    """What is in a checkpoint whose digest is right, unchecked otherwise.

    Raises:
        Damaged: it cannot be read, or its content is not what was saved.
    """
    try:
        content = read_regular(path)
    except OSError as error:
        raise Damaged(reason(error)) from None
    if content[:HEADER] != seal(content[HEADER:])[:HEADER]:
        raise Damaged("its content is not what was saved")
    try:
        state = load_saved(content[HEADER:])
    except Exception:  # torch raises many types for such a file, and its advice is to run what is in it
        raise Damaged("it cannot be read, or holds code, which is not run") from None
    if not isinstance(state, dict):
        raise Damaged("parts are missing")
    return state


def last_segment(path: Path, recipe: Recipe) -> Segment | None:
    """The latest part of the run in a checkpoint; None if there is no such file, or a damaged one, as loading says."""
    try:
        return _course(contents(path).get("course"), recipe).segments[-1]
    except Exception:  # of the many kinds that `load_checkpoint` speaks of
        return None


def _course(noted: Any, recipe: Recipe) -> Course:
    """What was noted, each part of it what it should be."""
    if not isinstance(noted, dict) or noted.keys() != vars(Course("")).keys():
        raise Damaged("parts are missing")
    iteration, seconds, sums = noted["iteration"], noted["seconds"], noted["sums"]
    train_points, test_points = noted["train_points"], noted["test_points"]
    well = (
        type(iteration) is int
        and 0 <= iteration <= recipe.iterations
        and type(noted["data_digest"]) is str
        and type(seconds) is float
        and isfinite(seconds)
        and seconds >= 0
        and _same_kind(sums, torch.zeros(2, dtype=torch.float64))
        and _are_points(train_points, 4, iteration)
        and _are_points(test_points, 3, iteration)
        and isinstance(noted["probes"], list)
        and isinstance(noted["segments"], list)
    )
    if not well:
        raise Damaged("what was noted on the way makes no sense")
    try:
        probes = [ProbesAt.model_validate(each, strict=False) for each in noted["probes"]]
        segments = [Segment.model_validate(each, strict=False) for each in noted["segments"]]
    except ValidationError:
        raise Damaged("what was noted on the way makes no sense") from None
    return Course(**noted | {"probes": probes, "segments": segments, "sums": copied(sums)})


def _are_points(points: Any, length: int, last: int) -> bool:
    """Whether these are points of a curve: rising iterations up to the last, then numbers."""
    if not isinstance(points, list) or not all(type(p) is tuple and len(p) == length for p in points):
        return False
    iterations = [point[0] for point in points]
    numbers = all(type(value) is float for point in points for value in point[1:])
    rising = all(type(i) is int for i in iterations) and iterations == sorted(set(iterations))
    return numbers and rising and (not iterations or (iterations[0] > 0 and iterations[-1] <= last))


def _same_kind(value: Any, like: Tensor) -> bool:
    return is_plain(value) and (value.shape, value.dtype) == (like.shape, like.dtype)


def _load_net(net: nn.Module, weights: Any) -> None:
    own = net.state_dict()
    if (
        not isinstance(weights, dict)
        or weights.keys() != own.keys()
        or not all(_same_kind(weights[name], own[name]) for name in own)
    ):
        raise Damaged("its weights do not fit the net")
    net.load_state_dict(weights)


def _moments(net: nn.Module, optimizer: torch.optim.Optimizer) -> dict[str, dict[str, Tensor]]:
    """The optimizer's state by the names of the net's parameters: velocities and such, and nothing of the recipe."""
    return {name: dict(optimizer.state.get(parameter, {})) for name, parameter in net.named_parameters()}


def _load_moments(net: nn.Module, optimizer: torch.optim.Optimizer, recipe: Recipe, moments: Any) -> None:
    parameters = dict(net.named_parameters())
    expected = {
        "sgd": {"momentum_buffer"} if recipe.momentum else set(),
        "adam": {"step", "exp_avg", "exp_avg_sq"},
        "rmsprop": {"step", "square_avg"} | ({"momentum_buffer"} if recipe.momentum else set()),
    }[recipe.optimizer]
    scalar = torch.zeros(())
    fits = isinstance(moments, dict) and moments.keys() == parameters.keys()
    for name, parameter in parameters.items():
        own = moments[name] if fits else None
        fits = (
            isinstance(own, dict)
            and own.keys() == expected
            and all(_same_kind(value, scalar if key == "step" else parameter) for key, value in own.items())
        )
        if not fits:
            raise Damaged("its optimizer's state does not fit the net")
    numbers = {
        parameter: number for number, parameter in enumerate(p for g in optimizer.param_groups for p in g["params"])
    }
    state = {
        numbers[parameter]: {key: copied(value) for key, value in moments[name].items()}
        for name, parameter in parameters.items()
    }
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})
