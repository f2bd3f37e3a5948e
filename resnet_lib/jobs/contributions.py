"""Packs a reader's runs as one archive, and holds an archive or folder of them to what it claims to be."""

import io
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path

from pydantic import ValidationError

from resnet_lib import data
from resnet_lib.errors import UserError
from resnet_lib.files import boundary, read_regular, writable, write_atomically, zip_contents
from resnet_lib.jobs import weights as trained
from resnet_lib.jobs.exchange import problem_of_weights_of, write_all
from resnet_lib.runs.config import RunConfig
from resnet_lib.runs.contributions import CREDIT, MOST_CREDIT, Credit, read_credit
from resnet_lib.runs.records import MOST_BYTES, RunRecord, first_problem
from resnet_lib.runs.store import WEIGHTS, Records
from resnet_lib.training.provenance import in_history

Due = Callable[[Credit], Sequence[RunConfig]]  # what a contribution has to hold


def pack(credit: Credit, configs: Sequence[RunConfig], source: Records, folder: Path) -> Path:
    """Writes the credit, the records of these runs, and the weights of the first seed into one archive.

    Raises:
        UserError: a run has no record or, if it is of the first seed, no weights.
    """
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(CREDIT, credit.to_yaml())
        for config in configs:
            record, weights = source.get(config), source.weights(config)
            if record is None or (config.seed == credit.first_seed and weights is None):
                raise UserError(f"{config.name} is not trained on this machine; repeat the command")
            archive.writestr(_place(config, ".json"), record.to_json())
            if config.seed == credit.first_seed:
                archive.writestr(_place(config, WEIGHTS), read_regular(weights))
    path = folder / f"{credit.name}.zip"
    write_atomically(path, lambda file: file.write(buffer.getbuffer()))
    return path


def check(path: Path, due: Due) -> tuple[Credit, dict[Path, bytes]]:
    """What a contribution holds, an archive or a folder, if it is all that it should be.

    It has the records of all runs that its claim asks for, and no others, made on the data set that is here by a commit
    that the history has, where there is one to ask; of the first seed it has the weights that these runs left, and they
    have the error that the records say.

    Raises:
        UserError: something is missing, superfluous, malformed, or not what its record says; it is named.
    """
    contents = _contents(path)
    if CREDIT not in contents:
        raise UserError(f"{path}: it has no {CREDIT}; `contribute train` makes one that does")
    credit = read_credit(contents.pop(CREDIT), f"{path}: {CREDIT}")
    with boundary(lambda reason: f"{path}: {reason}"):
        configs = due(credit)
    wanted = {_place(config, ".json"): config for config in configs}
    witnesses = {_place(config, WEIGHTS): config for config in configs if config.seed == credit.first_seed}
    if odd := sorted(contents.keys() ^ (wanted.keys() | witnesses.keys())):
        state = "should not be in it" if odd[0] in contents else "is missing"
        raise UserError(
            f"{path}: {odd[0]} {state}: it must be the runs of {credit.claim} at {credit.profile} "
            f"with the seeds {credit.seeds[0]} to {credit.seeds[-1]}, those of {credit.by}"
        )
    sets = {(config.data.name, config.data.image_size) for config in configs}
    digests = {name: data.load(name, size).digest for name, size in sorted(sets)}
    records = {}
    for name, config in wanted.items():
        record = records[config] = _record(contents[name], f"{path}: {name}")
        if problem := _problem(record, config, digests[config.data.name]):
            raise UserError(f"{path}: {name}: {problem}")
    for name, config in witnesses.items():
        if problem := problem_of_weights_of(records[config], contents[name], verify=True):
            raise UserError(f"{path}: {name}: {problem}")
    files = {Path(name): content for name, content in contents.items()}
    return credit, {Path(CREDIT): credit.to_yaml().encode()} | files


def accept(path: Path, due: Due, folder: Path) -> Path:
    """Checks a contribution and puts it into a folder of its own; returns that.

    Raises:
        UserError: as `check` does; or it is there already.
    """
    credit, files = check(path, due)
    place = folder / credit.name
    if place.exists():
        raise UserError(f"{place} is there already; remove it if this one is to take its place")
    write_all(writable(place), files)
    return place


def _place(config: RunConfig, ending: str) -> str:
    return f"{config.data.name}/{config.name}{ending}"


def _contents(path: Path) -> dict[str, bytes]:
    """All files of an archive or of a folder, by their names."""
    most = {".json": MOST_BYTES, WEIGHTS: 64 << 20, ".yml": MOST_CREDIT}
    with boundary(lambda reason: f"{path}: cannot be read as a contribution ({reason}); make it anew"):
        if not path.is_dir():
            return zip_contents(path, lambda name: most.get(Path(name).suffix, 1))
        found = (file for file in sorted(path.rglob("*")) if file.is_file())
        return {file.relative_to(path).as_posix(): read_regular(file, most.get(file.suffix, 1)) for file in found}


def _record(content: bytes, where: str) -> RunRecord:
    try:
        return RunRecord.model_validate_json(content)
    except ValidationError as error:
        raise UserError(f"{where}: {first_problem(error)}") from None


def _problem(record: RunRecord, config: RunConfig, images: str) -> str | None:
    """Why a record is not that of the run that it should be of, made by code that others can have from these images."""
    if record.config != config:
        return f"this is the record of {record.config.name}"
    if problem := trained.problem_of_run(record):
        return problem
    made = record.provenance
    if made.git_commit is None or made.git_dirty:
        return "it was not made by committed code"
    if in_history(made.git_commit) is False:
        return f"it was made by commit {made.git_commit}, which the history here does not have"
    if record.weights_sha256 is None:
        return "it does not know the digest of its weights"
    if made.data_digest != images:
        return f"it was made from other images: their digest is {made.data_digest}, and here {images}"
    return None
