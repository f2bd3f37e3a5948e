"""Takes finished records from one machine to another: one archive out, checked and merged on the other side."""

import io
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from resnet_lib.errors import UserError
from resnet_lib.files import write_atomically
from resnet_lib.runs import Records, RunRecord, first_problem, save_record

ARCHIVE = "records.zip"


def export(records: Sequence[RunRecord], folder: Path) -> Path:
    """Writes the records as one archive of JSON files into `folder`, whole or not at all, and returns its path."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for record in records:
            archive.writestr(f"{record.config.data.name}/{record.config.name}.json", record.to_json())
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

    A record of a run that is there already must say the same; where it comes from may differ.

    Raises:
        UserError: the file is no archive of records, a record in it is malformed, or one contradicts one in `folder`.
    """
    present = Records(folder)
    new, known = [], 0
    for record in _read(path):
        there = present.get(record.config)
        if there is None:
            new.append(record)
        elif _measured(there) == _measured(record):
            known += 1
        else:
            raise UserError(
                f"{path}: {record.config.name} differs from the record in {folder}: test error "
                f"{record.final.test_error:g} against {there.final.test_error:g}; remove the one you do not trust"
            )
    for record in new:
        save_record(record, folder / record.config.data.name)
    return Imported(len(new), known)


def _measured(record: RunRecord) -> dict[str, object]:
    return record.model_dump(exclude={"provenance"})


def _read(path: Path) -> list[RunRecord]:
    try:
        with zipfile.ZipFile(path) as archive:
            contents = {name: archive.read(name) for name in archive.namelist() if name.endswith(".json")}
    except (OSError, zipfile.BadZipFile, NotImplementedError, RuntimeError) as error:
        raise UserError(f"{path}: cannot be read as an archive of records ({error}); make it anew") from None
    records = []
    for name, content in contents.items():
        try:
            records.append(RunRecord.model_validate_json(content))
        except ValidationError as error:
            raise UserError(f"{path}: {name}: {first_problem(error)}; nothing was imported") from None
    return records
