"""Takes finished runs from one machine to another: one archive out, checked and merged on the other side."""

import io
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import safetensors.torch
import torch
from pydantic import ValidationError
from safetensors import SafetensorError
from torch import Tensor

from resnet_lib import data
from resnet_lib.errors import UserError
from resnet_lib.files import write_atomically
from resnet_lib.nets.build import build
from resnet_lib.runs.config import RunConfig
from resnet_lib.runs.experiments import keeps_weights
from resnet_lib.runs.records import RunRecord, first_problem, save_record
from resnet_lib.runs.store import WEIGHTS, Records

ARCHIVE = "records.zip"


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
                archive.writestr(f"{stem}{WEIGHTS}", weights.read_bytes())
    path = folder / ARCHIVE
    write_atomically(path, lambda file: file.write(buffer.getbuffer()))
    return path


@dataclass(frozen=True)
class Imported:
    """How many records an import brought, and how many were there already."""

    new: int
    known: int


def bring_in(path: Path, folder: Path) -> Imported:
    """Merges an archive into a folder of records: all of it, or nothing if any part is refused.

    A record of a run that is there already must say the same; where it comes from may differ. Weights that are there
    already stay.

    Raises:
        UserError: the file is no archive of records, a record or weights in it are malformed, or a record contradicts
            one in `folder`.
    """
    present = Records(folder)
    records, weights = _read(path)
    new = []
    for record in records:
        there = present.get(record.config)
        if there is None:
            new.append(record)
        elif _measured(there) != _measured(record):
            raise UserError(
                f"{path}: {record.config.name} differs from the record in {folder}: test error "
                f"{record.final.test_error:g} against {there.final.test_error:g}; remove the one you do not trust"
            )
    for config, content in weights.items():  # before the records, which say that a run is done
        if present.weights(config) is None:
            target = folder / config.data.name / f"{config.name}{WEIGHTS}"
            write_atomically(target, lambda file, content=content: file.write(content))
    for record in new:
        save_record(record, folder / record.config.data.name)
    return Imported(len(new), len(records) - len(new))


def _measured(record: RunRecord) -> dict[str, object]:
    return record.model_dump(exclude={"provenance"})


def _read(path: Path) -> tuple[list[RunRecord], dict[RunConfig, bytes]]:
    """The records of an archive, and the weights of some of their nets, each checked against its net."""
    try:
        with zipfile.ZipFile(path) as archive:
            contents = {name: archive.read(name) for name in archive.namelist()}
    except (OSError, zipfile.BadZipFile, NotImplementedError, RuntimeError) as error:
        raise UserError(f"{path}: cannot be read as an archive of records ({error}); make it anew") from None
    records, weights = [], {}
    for name, content in contents.items():
        if not name.endswith(".json"):
            continue
        try:
            record = RunRecord.model_validate_json(content)
        except ValidationError as error:
            raise UserError(f"{path}: {name}: {first_problem(error)}; nothing was imported") from None
        records.append(record)
        beside = name.removesuffix(".json") + WEIGHTS
        if beside in contents and keeps_weights(record.config):
            if problem := problem_of_weights(contents[beside], record.config):
                raise UserError(f"{path}: {beside}: {problem}; nothing was imported")
            weights[record.config] = contents[beside]
    return records, weights


def problem_of_weights(content: bytes, config: RunConfig) -> str | None:
    """What keeps a safetensors file from being the trained weights of this run's net, or None."""
    try:
        found = safetensors.torch.load(content)
    except SafetensorError as error:
        return f"no safetensors file ({error})"
    source = data.SOURCES[config.data.name]
    with torch.device("meta"):
        net = build(config.net, source.shape[2], source.num_classes, config.data.image_size)

    def described(tensors: dict[str, Tensor]) -> dict[str, tuple]:
        return {name: (tuple(tensor.shape), tensor.dtype) for name, tensor in tensors.items()}

    wanted, given = described(net.state_dict()), described(found)
    wrong = sorted(name for name in wanted.keys() | given.keys() if wanted.get(name) != given.get(name))
    if wrong:
        return f"not the weights of {config.net.name}: {wrong[0]} is missing, superfluous or of another shape"
    if broken := [name for name, tensor in found.items() if not tensor.float().isfinite().all()]:
        return f"{broken[0]} is not finite"
    return None
