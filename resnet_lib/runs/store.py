"""Where records are found: those that ship with the package, and those of runs made on this machine."""

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from resnet_lib.files import PACKAGE, cache_dir
from resnet_lib.runs.config import RunConfig
from resnet_lib.runs.records import (
    PUBLISHED,
    STUDIES,
    PublishedStudy,
    RunRecord,
    Stored,
    Study,
    load_published,
    load_record,
    load_study,
    published_name,
)
from resnet_lib.runs.seal import check_seal

WEIGHTS = ".safetensors"  # the ending of a file with trained weights and batch-norm statistics


def committed_dir() -> Path:
    """The records that ship with the package: what the book shows."""
    return PACKAGE / "records"


def local_dir() -> Path:
    """The records of runs made on this machine."""
    return cache_dir() / "records"


def is_run(path: Path) -> bool:
    """Whether a file in a folder of records is a run's, and not a study's."""
    return path.parent.name not in (STUDIES, PUBLISHED)


class Records:
    """The records found in some folders, by config. Files are read when asked for, earlier folders first.

    What is in a folder that is sealed must be as its seal says: see `seal`.
    """

    def __init__(self, *folders: Path) -> None:
        self.folders = folders

    @classmethod
    def committed(cls) -> "Records":
        """Only what ships with the package."""
        return cls(committed_dir())

    @classmethod
    def all(cls) -> "Records":
        """What ships with the package, then what was run on this machine."""
        return cls(committed_dir(), local_dir())

    def get(self, config: RunConfig) -> RunRecord | None:
        """The record of this run, or None if there is none."""
        found = self._find(config, ".json")
        return None if found is None else load_record(found[1], _sealed(found[0]))

    def weights(self, config: RunConfig) -> Path | None:
        """The file with the trained weights of this run, which lies beside its record, or None if there is none."""
        if (found := self._find(config, WEIGHTS)) is None:
            return None
        check_seal(*found)
        return found[1]

    def _find(self, config: RunConfig, ending: str) -> tuple[Path, Path] | None:
        """The folder that has a file of this run, and the file."""
        name = f"{config.name}{ending}"
        places = ((f, path) for f in self.folders for path in (f / config.data.name / name, f / name))
        return next((place for place in places if place[1].exists()), None)

    def select(self, configs: Iterable[RunConfig]) -> list[RunRecord]:
        """The records there are of these runs, in the order of the configs."""
        return [record for config in configs if (record := self.get(config)) is not None]

    def study(self, study: str, config: RunConfig) -> Study | None:
        """The study of this run's net, or None if there is none."""
        for folder in self.folders:
            path = folder / STUDIES / f"{study}_{config.name}.json"
            if path.exists():
                return load_study(path, _sealed(folder))
        return None

    def published(self, study: str, net: str) -> PublishedStudy | None:
        """The study of a net that others trained (a name of `published.published_nets`), or None if there is none."""
        places = ((folder, folder / PUBLISHED / f"{published_name(study, net)}.json") for folder in self.folders)
        return next((load_published(path, _sealed(folder)) for folder, path in places if path.exists()), None)

    def noting(self) -> "NotedRecords":
        """The same records, which note what they give out: with it a table can say what it was made from."""
        return NotedRecords(*self.folders)

    def __iter__(self) -> Iterator[RunRecord]:
        """Every record in the folders, by path."""
        for folder in self.folders:
            for path in sorted(folder.rglob("*.json")):
                if is_run(path):
                    yield load_record(path, _sealed(folder))


def _sealed(folder: Path) -> Callable[[Path, bytes], None]:
    """What holds files of a folder to its seal."""
    return lambda path, content: check_seal(folder, path, content)


class NotedRecords(Records):
    """Records and studies with a list of what was found and given out."""

    def __init__(self, *folders: Path) -> None:
        super().__init__(*folders)
        self.given: list[RunRecord | Study] = []

    def get(self, config: RunConfig) -> RunRecord | None:
        """As of `Records`."""
        return self._noted(super().get(config))

    def study(self, study: str, config: RunConfig) -> Study | None:
        """As of `Records`."""
        return self._noted(super().study(study, config))

    def _noted(self, found: Stored | None) -> Stored | None:
        if found is not None:
            self.given.append(found)
        return found
