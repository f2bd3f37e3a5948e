"""A changed digit, point or weight of the book's records is noticed, and the message names the file."""

from collections.abc import Callable
from pathlib import Path

import pytest
from samples import made_up_record, tiny_config

from resnet_lib.errors import UserError
from resnet_lib.runs.records import save_record
from resnet_lib.runs.seal import SEAL, broken, renew
from resnet_lib.runs.store import Records, committed_dir

CONFIG = tiny_config()


@pytest.fixture
def sealed(tmp_path: Path) -> Path:
    folder = tmp_path / "records"
    save_record(made_up_record(CONFIG), folder)
    (folder / f"{CONFIG.name}.safetensors").write_bytes(b"weights")
    renew(folder)
    return folder


@pytest.mark.fault("tampered record")
def test_the_books_records_are_what_their_seal_says() -> None:
    assert broken(committed_dir()) == []


@pytest.mark.fault("tampered record")
@pytest.mark.parametrize(("old", "new"), [("test_error", None), ('"loss": [2.0, 1.0]', '"loss": [2.0, 1.1]')])
def test_a_digit_of_a_record_is_held(old: str, new: str | None, sealed: Path) -> None:
    path = sealed / f"{CONFIG.name}.json"
    text = path.read_text()
    assert Records(sealed).get(CONFIG) is not None
    path.write_text(text.replace(old, new) if new else text.replace("1.5", "1.6"))
    assert path.read_text() != text
    for load in (lambda: Records(sealed).get(CONFIG), lambda: list(Records(sealed))):
        with pytest.raises(UserError, match=f"{path}: is not what {SEAL} of its folder says"):
            load()
    assert [problem.partition(": ")[0] for problem in broken(sealed)] == [str(path)]


@pytest.mark.fault("tampered record")
def test_a_weight_is_held(sealed: Path) -> None:
    path = sealed / f"{CONFIG.name}.safetensors"
    assert Records(sealed).weights(CONFIG) == path
    path.write_bytes(b"weightz")
    with pytest.raises(UserError, match="is not what SHA256SUMS"):
        Records(sealed).weights(CONFIG)


@pytest.mark.fault("tampered record")
@pytest.mark.parametrize("change", ["one more", "one less", "no seal"])
def test_a_record_too_many_or_too_few_is_named(change: str, sealed: Path) -> None:
    changes: dict[str, Callable[[], object]] = {
        "one more": lambda: save_record(made_up_record(tiny_config(seed=1)), sealed),
        "one less": (sealed / f"{CONFIG.name}.json").unlink,
        "no seal": (sealed / SEAL).unlink,
    }
    changes[change]()
    (problem,) = broken(sealed)
    assert "make seal" in problem
    renew(sealed)
    assert broken(sealed) == []
