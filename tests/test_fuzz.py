"""Whatever stands in a file of a stranger's, it is loaded whole or refused in one line that names the file."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from samples import made_up_record, made_up_study, tiny_config

from resnet_lib.errors import UserError
from resnet_lib.jobs.exchange import bring_in
from resnet_lib.runs.config import RunConfig
from resnet_lib.runs.records import load_record, load_study
from resnet_lib.training.protocols import read_weights

RECORD = json.loads(made_up_record(tiny_config()).to_json())
STUDY = json.loads(made_up_study("lesion", tiny_config(), {"none": 12.0, "layer1.0": 34.0}).to_json())
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=8,
)
# The same examples each time: a check that fails by chance stops someone else's work. And each example needs the folder
# only for a file that it overwrites.
REPEATABLE = settings(derandomize=True, deadline=None, max_examples=300)
IN_ONE_FOLDER = settings(REPEATABLE, suppress_health_check=[HealthCheck.function_scoped_fixture])


def paths_into(value: Any, path: tuple = ()) -> list[tuple]:
    """Where something could be replaced: every key of every object, and every place of every list."""
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(found for key, item in inside for found in paths_into(item, (*path, key)))]


def replaced(value: Any, path: tuple, new: Any) -> Any:
    """The value with what stands at a path replaced."""
    if not path:
        return new
    copy = value.copy()
    copy[path[0]] = replaced(value[path[0]], path[1:], new)
    return copy


def refused_or(load: Any, path: Path) -> Any:
    """What `load` gives, or None if it refuses the file as it should."""
    try:
        return load(path)
    except UserError as error:
        assert str(error).startswith(f"{path}: ")
        assert "\n" not in str(error)
        return None


@pytest.mark.fault("file from a stranger")
@IN_ONE_FOLDER
@given(place=st.sampled_from(paths_into(RECORD)), new=ANYTHING)
def test_a_record_with_something_else_in_one_place(place: tuple, new: Any, tmp_path: Path) -> None:
    path = tmp_path / "record.json"
    path.write_text(json.dumps(replaced(RECORD, place, new)))
    loaded = refused_or(load_record, path)
    if loaded is not None:  # then nothing was lost or bent on the way
        again = json.loads(loaded.to_json())
        path.write_text(loaded.to_json())
        assert load_record(path) == loaded
        assert paths_into(again)


@IN_ONE_FOLDER
@given(place=st.sampled_from(paths_into(STUDY)), new=ANYTHING)
def test_a_study_with_something_else_in_one_place(place: tuple, new: Any, tmp_path: Path) -> None:
    path = tmp_path / "study.json"
    path.write_text(json.dumps(replaced(STUDY, place, new)))
    refused_or(load_study, path)


@pytest.mark.fault("file from a stranger")
@IN_ONE_FOLDER
@given(content=st.binary(max_size=300))
def test_a_file_of_any_bytes_is_no_record(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "record.json"
    path.write_bytes(content)
    assert refused_or(load_record, path) is None


@IN_ONE_FOLDER
@given(cut=st.integers(min_value=0, max_value=len(json.dumps(RECORD)) - 1))
def test_a_record_cut_off_anywhere_is_refused(cut: int, tmp_path: Path) -> None:
    path = tmp_path / "record.json"
    path.write_text(json.dumps(RECORD)[:cut])
    assert refused_or(load_record, path) is None


@REPEATABLE
@given(place=st.sampled_from(paths_into(RECORD["config"])), new=ANYTHING)
def test_a_config_with_something_else_in_one_place_is_complete_or_refused(place: tuple, new: Any) -> None:
    try:
        config = RunConfig.model_validate_json(json.dumps(replaced(RECORD["config"], place, new)))
    except ValueError:
        return
    assert RunConfig.model_validate_json(config.model_dump_json(exclude_defaults=True)) == config
    assert config.digest in config.name


@pytest.mark.fault("file from a stranger")
@pytest.mark.parametrize("load", [read_weights, lambda path: bring_in(path, path.parent / "records")])
@IN_ONE_FOLDER
@given(content=st.binary(max_size=300))
def test_any_bytes_are_no_weights_and_no_archive(load: Any, content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "file.safetensors"
    path.write_bytes(content)
    with pytest.raises(UserError) as caught:
        load(path)
    assert "\n" not in str(caught.value)
