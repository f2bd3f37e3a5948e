"""Takes finished runs from one machine to another: one archive out, checked and merged on the other side."""

import io
import os
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import safetensors.torch
import torch
from pydantic import ValidationError

from resnet_lib import data
from resnet_lib.errors import UserError, reason
from resnet_lib.files import boundary, read_regular, remove_litter, staging, writable, write_atomically, zip_contents
from resnet_lib.jobs import weights as trained
from resnet_lib.runs.config import RunConfig
from resnet_lib.runs.experiments import keeps_weights
from resnet_lib.runs.records import MOST_BYTES, RunRecord, first_problem
from resnet_lib.runs.seal import SEAL, renew
from resnet_lib.runs.store import WEIGHTS, Records
from resnet_lib.training.evaluation import evaluate
from resnet_lib.training.hardware import Hardware

ARCHIVE = "records.zip"
AS_EVALUATED = 0.5  # points by which an error may differ on another device or in another precision


def export(configs: Sequence[RunConfig], source: Records, folder: Path) -> Path:
    """Writes the records there are of these runs into `folder`, as one archive of JSON files, and returns its path.

    The archive is written whole or not at all. Trained weights come along for the few nets that chapters look into
    (`experiments.keeps_weights`), if they lie beside the record: weights of another training would not be its own.
    """
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for config in configs:
            found = (place for place in map(Records, source.folders) if place.get(config))
            if (place := next(found, None)) is None:
                continue
            stem = f"{config.data.name}/{config.name}"
            archive.writestr(f"{stem}.json", place.get(config).to_json())
            if keeps_weights(config) and (weights := place.weights(config)):
                archive.writestr(f"{stem}{WEIGHTS}", read_regular(weights))
    path = folder / ARCHIVE
    write_atomically(path, lambda file: file.write(buffer.getbuffer()))
    return path


@dataclass(frozen=True)
class Imported:
    """How many records an import brought, and how many were there already."""

    new: int
    known: int


def bring_in(path: Path, folder: Path, verify: bool = False) -> Imported:
    """Merges an archive into a folder of records: all of it, or nothing if any part is refused.

    A record of a run must say the same as one that is there already, or in the same archive; where it comes from may
    differ. Weights must have the digest that their record knows; those that are there already stay. Where a file goes
    follows from the run alone, never from a name in the archive.

    Args:
        path: of the archive.
        folder: of records.
        verify: also test each net on its data set, which has to be here: its error must be the record's. Weights of a
            record that knows no digest are only taken so.

    Raises:
        UserError: the file is no archive of records, a record or weights in it are malformed or no run's, or a record
            contradicts another.
    """
    present = Records(folder)
    records, weights = _read(path, verify)
    new = []
    for record in records.values():
        there = present.get(record.config)
        if there is None:
            new.append(record)
        elif contradict(there, record):
            raise UserError(f"{path}: {_contradiction(there, record, f'the record in {folder}')}")
    files = {  # weights before the records, which say that a run is done
        Path(config.data.name, f"{config.name}{WEIGHTS}"): content
        for config, content in weights.items()
        if present.weights(config) is None
    }
    files |= {Path(r.config.data.name, f"{r.config.name}.json"): r.to_json().encode() for r in new}
    write_all(folder, files)
    return Imported(len(new), len(records) - len(new))


def contradict(one: RunRecord, other: RunRecord) -> bool:
    """Whether two records of one run say different things; where they come from may differ."""
    left_out = {"provenance"}
    if one.weights_sha256 is None or other.weights_sha256 is None:
        left_out.add("weights_sha256")
    return one.model_dump(exclude=left_out) != other.model_dump(exclude=left_out)


def _contradiction(there: RunRecord, record: RunRecord, where: str) -> str:
    errors = f"{record.final.test_error:g} against {there.final.test_error:g}"
    return f"{record.config.name} differs from {where}: test error {errors}; remove the one you do not trust"


def write_all(folder: Path, files: dict[Path, bytes]) -> None:
    """Writes files into a folder, all or none; the folder's seal, if it has one, then has them, too.

    All are written out beside their places first. What can fail after that is renaming, and is undone.

    Raises:
        UserError: one cannot be written; then none is there.
    """
    if not files:
        return
    writable(folder)
    remove_litter(folder)
    done: list[Path] = []
    try:
        with staging(folder) as staged:
            for number, content in enumerate(files.values()):
                with open(staged / str(number), "wb") as file:
                    file.write(content)
                    file.flush()
                    os.fsync(file.fileno())
            for number, name in enumerate(files):
                target = folder / name
                target.parent.mkdir(exist_ok=True)
                if target.parent.is_symlink() or target.exists():
                    raise FileExistsError(f"{target} is there already, or its folder is a link")
                os.replace(staged / str(number), target)
                done.append(target)
        if (folder / SEAL).exists():
            renew(folder, done)
    except BaseException as error:
        for target in done:
            target.unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise UserError(f"cannot write to {folder} ({reason(error)}); nothing was imported") from None
        raise


def _read(path: Path, verify: bool) -> tuple[dict[RunConfig, RunRecord], dict[RunConfig, bytes]]:
    """The records of an archive, and the weights of some of their nets, each checked against its net."""
    with boundary(lambda reason: f"{path}: cannot be read as an archive of records ({reason}); make it anew"):
        texts = zip_contents(path, lambda name: MOST_BYTES if name.endswith(".json") else 0)
    records: dict[RunConfig, RunRecord] = {}
    beside: dict[str, RunConfig] = {}  # names of weights
    for name, content in texts.items():
        try:
            record = RunRecord.model_validate_json(content)
        except ValidationError as error:
            raise UserError(f"{path}: {name}: {first_problem(error)}; nothing was imported") from None
        if problem := trained.problem_of_run(record):
            raise UserError(f"{path}: {name}: {problem}; nothing was imported")
        other = records.setdefault(record.config, record)
        if contradict(other, record):
            raise UserError(f"{path}: {_contradiction(other, record, 'another one in it')}; nothing was imported")
        if keeps_weights(record.config):
            beside[name.removesuffix(".json") + WEIGHTS] = record.config

    with boundary(lambda reason: f"{path}: cannot be read as an archive of records ({reason}); make it anew"):
        found = zip_contents(path, lambda name: trained.most_bytes(beside[name]) if name in beside else 0)
    weights = {}
    for name, content in found.items():
        if problem := problem_of_weights_of(records[beside[name]], content, verify):
            raise UserError(f"{path}: {name}: {problem}; nothing was imported")
        weights[beside[name]] = content
    return records, weights


def problem_of_weights_of(record: RunRecord, content: bytes, verify: bool) -> str | None:
    """What keeps a file from being the weights that a record's run left, or None."""
    if problem := trained.problem_of_weights(content, record.config):
        return problem
    if record.weights_sha256 not in (None, trained.digest(content)):
        return "these are not the weights that the record's run left: their digest is another"
    if verify:
        try:
            error = tested(record, content)
        except UserError as problem:  # the data set is not here
            return f"they cannot be tested ({problem})"
        if abs(error - record.final.test_error) > AS_EVALUATED:
            return (
                f"with these weights the test error is {error:.2f}%, and the record says {record.final.test_error:g}%"
            )
    elif record.weights_sha256 is None:
        return "the record does not know the digest of its weights; add --verify, which tests them"
    return None


def tested(record: RunRecord, content: bytes) -> float:
    """The test error, in percent, of a record's net with these weights, in the precision that it was trained in.

    Raises:
        UserError: the data set is not here; see `data.load`.
    """
    config = record.config
    hardware = Hardware.choose(precision=record.provenance.precision)
    dataset = data.load(config.data.name, config.data.image_size).for_run(config, hardware.device)
    net = trained.build(config.net, dataset.in_channels, dataset.num_classes, config.data.image_size)
    net.load_state_dict(safetensors.torch.load(content))
    net = net.to(hardware.device, memory_format=torch.channels_last)
    return evaluate(net, dataset, "test", hardware).error
