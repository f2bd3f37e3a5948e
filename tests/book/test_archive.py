"""What archives are told is what is there: metadata, model cards, the container, the paper's first lines."""

import json
import re
import shutil
import tomllib
from importlib.metadata import metadata as metadata_of
from pathlib import Path
from urllib.parse import unquote

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from book import ROOT, archive
from book.archive import bibliography, cards, metadata, provenance
from book.texts import repository
from resnet_lib.runs.seal import read_seal

CITED = yaml.safe_load((ROOT / "CITATION.cff").read_text())
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
RECORDS = ROOT / "resnet_lib" / "records"


@pytest.fixture(scope="module")
def crate() -> dict[str, dict]:
    """The entities of the committed crate, by their names."""
    graph = json.loads((ROOT / "ro-crate-metadata.json").read_text())["@graph"]
    return {unquote(entity["@id"]): entity for entity in graph}


def listed(value: object) -> list[dict]:
    return value if isinstance(value, list) else [value]


def test_the_committed_metadata_are_what_is_there() -> None:
    odd = [name for name, content in metadata(ROOT).items() if (ROOT / name).read_text() != content]
    assert odd == [], "run `make archive`"


def test_each_file_of_weights_has_a_card_that_is_written_from_its_record() -> None:
    odd = [name for name, content in cards(ROOT).items() if (ROOT / name).read_text() != content]
    assert odd == [], "run `make archive`"
    assert {path.with_suffix(".md") for path in RECORDS.rglob("*.safetensors")} == set(RECORDS.rglob("*.md"))
    seal = read_seal(RECORDS)
    for path in RECORDS.rglob("*.safetensors"):
        card, record = path.with_suffix(".md").read_text(), json.loads(path.with_suffix(".json").read_text())
        assert f"| Weights | {path.name}, SHA-256 {seal[path.relative_to(RECORDS).as_posix()]} |" in card
        assert f"{record['final']['test_error']:.2f}% of 10,000 images" in card
        hours = record["provenance"]["seconds"] * record["provenance"]["threads"] / 3600
        assert f"| Cost | {hours:.1f} core-hours, by the clock |" in card
        assert "| Use and limits | " in card


def test_version_and_licence_are_the_same_everywhere() -> None:
    assert CITED["version"] == PROJECT["version"]
    assert CITED["license"] == PROJECT["license"]
    assert [who["name"] for who in CITED["authors"]] == [who["name"] for who in PROJECT["authors"]]


def test_who_cites_the_book_is_led_to_its_repository() -> None:
    assert CITED["repository-code"] == repository(ROOT)


def test_every_record_is_in_the_crate_with_its_digest_and_who_made_it(crate: dict[str, dict]) -> None:
    made_by = {
        unquote(result["@id"]): entity
        for entity in crate.values()
        if entity["@type"] == "CreateAction"
        for result in listed(entity["result"])
    }
    seal = read_seal(RECORDS)
    assert seal
    for name, digest in seal.items():
        path = f"resnet_lib/records/{name}"
        assert crate[path]["sha256"] == digest
        if name.endswith(".json"):
            made = json.loads((RECORDS / name).read_text())["provenance"]
            action = made_by[path]
            assert action["endTime"] == made["date"]
            assert made["device"] in action["description"]
            assert f"torch {made['torch']}" in action["description"]
            assert str(made["git_commit"]) in crate[action["instrument"]["@id"]]["name"]
            assert made["data_digest"] in crate[action["object"]["@id"]]["name"]


def test_the_crate_refers_to_nothing_that_is_not_in_it(crate: dict[str, dict]) -> None:
    parts = {unquote(entity["@id"]) for entity in crate["./"]["hasPart"]}
    assert parts == {name for name, entity in crate.items() if entity["@type"] == "File"}
    assert [name for name in parts if not (ROOT / name).is_file()] == []
    named = [value for entity in crate.values() for values in entity.values() for value in listed(values)]
    referred = {unquote(value["@id"]) for value in named if isinstance(value, dict)}
    assert {name for name in referred - crate.keys() if not name.startswith("https://w3id.org/ro/crate/")} == set()


def test_the_crate_says_what_its_digests_are() -> None:
    """RO-Crate 1.1 knows no `sha256`, and its validator refuses terms that are not defined."""
    terms = json.loads((ROOT / "ro-crate-metadata.json").read_text())["@context"]
    assert terms == ["https://w3id.org/ro/crate/1.1/context", {"sha256": "http://schema.org/sha256"}]


def test_changed_code_and_the_parts_of_a_run_are_said(tmp_path: Path) -> None:
    part = {"iteration": 400, "date": "2030-01-02", "device": "an older machine"}
    made = {
        "package": "1", "git_commit": "abc", "git_dirty": True, "python": "3", "torch": "2", "device": "a machine",
        "threads": 2, "precision": "fp32", "compiled": True, "data_digest": "d", "date": "2030-01-03", "seconds": 1,
        "images_per_second": 2, "segments": [part],
    }  # fmt: skip
    record = {"config": {"data": {"name": "wine"}}, "provenance": made}
    (tmp_path / "one.json").write_text(json.dumps(record))
    (tmp_path / "one.safetensors").touch()
    record["provenance"]["seconds"] = 5
    (tmp_path / "two.json").write_text(json.dumps(record))
    action, code, _ = provenance(tmp_path, ["one.json", "two.json"])
    assert [result["@id"] for result in action["result"]] == ["one.json", "one.safetensors", "two.json"]
    assert action["description"].startswith("a machine, 2 threads, fp32, Python 3, torch 2, compiled; ")
    assert action["description"].endswith("400 iterations on, 2030-01-02, an older machine")
    assert code["name"] == "resnet_lib 1, commit abc, changed"


def test_runs_of_readers_and_what_verdicts_rest_on_besides_records_are_in_the_crate(
    crate: dict[str, dict], tmp_path: Path
) -> None:
    benchmarks = [path for path in (ROOT / "resnet_lib" / "benchmarks").rglob("*") if path.is_file()]
    there = {path.relative_to(ROOT).as_posix() for path in benchmarks}
    assert there | {"pyproject.toml", "paper.md", "paper.bib", "resnet_lib/evidence/claims_log.yml"} <= crate.keys()

    name = next(name for name in read_seal(RECORDS) if name.startswith("wine/"))
    theirs = tmp_path / "resnet_lib" / "contributed" / "a-claim-small-1000" / name
    theirs.parent.mkdir(parents=True)
    shutil.copy(RECORDS / name, theirs)
    shutil.copy(ROOT / "_config.yml", tmp_path)
    path = theirs.relative_to(tmp_path).as_posix()
    graph = archive.crate(tmp_path, CITED, PROJECT)["@graph"]
    (action,) = (entity for entity in graph if entity["@type"] == "CreateAction")
    assert unquote(action["result"]["@id"]) == path
    assert path in [unquote(entity["@id"]) for entity in graph if entity["@type"] == "File"]


def test_the_paper_begins_as_the_book_is_cited_and_cites_what_is_there() -> None:
    _, head, text = (ROOT / "paper.md").read_text().split("---\n", 2)
    said = yaml.safe_load(head)
    assert said["title"] == CITED["title"]
    assert [who["name"] for who in said["authors"]] == [who["name"] for who in CITED["authors"]]
    assert said["date"] == f"{CITED['date-released']:%-d %B %Y}"
    assert said["bibliography"] == "paper.bib"
    references = (ROOT / "paper.bib").read_text()
    assert references == bibliography(ROOT), "run `make archive`"
    assert set(re.findall(r"^@\w+\{(\w+),", references, re.MULTILINE)) == set(re.findall(r"@(\w+)", text))


def test_containers_have_a_python_that_the_package_allows_and_targets_that_there_are() -> None:
    container, binder = (ROOT / "Dockerfile").read_text(), (ROOT / "binder" / "runtime.txt").read_text()
    least = PROJECT["requires-python"].removeprefix(">=")
    assert re.findall(r"FROM python:(\d+\.\d+)|python-(\d+\.\d+)", container + binder) == [(least, ""), ("", least)]
    makefile = (ROOT / "Makefile").read_text()
    stamp = re.search(r"STAMP := (.*)", makefile)[1]
    assert f"RUN make {stamp}" in container
    assert f"touch {stamp}" in (ROOT / "binder" / "postBuild").read_text()
    assert 'CMD ["make", "reproduce"]' in container


def test_the_container_is_run_each_week_as_it_is_described_and_leaves_its_pages() -> None:
    """Docker makes a mounted folder root's, and the container's user could not write there; so they are copied out."""
    container, weekly = ((ROOT / path).read_text() for path in ("Dockerfile", ".github/workflows/weekly.yml"))
    command = re.search(r"docker run .*", container)[0]
    assert (
        command
        == f"docker run --name book resnet-lib && docker cp book:{re.search('WORKDIR (.*)', container)[1]}/build out"
    )
    assert command in weekly


def test_the_hosting_service_tests_every_python_that_is_promised() -> None:
    jobs = yaml.safe_load((ROOT / ".github" / "workflows" / "test.yml").read_text())["jobs"]
    first, last = re.search(r"for Python 3\.(\d+) to 3\.(\d+)", (ROOT / "requirements.txt").read_text()).groups()
    assert PROJECT["requires-python"] == f">=3.{first}"
    assert {jobs["test"]["strategy"]["matrix"]["python"][end] for end in (0, -1)} == {f"3.{first}", f"3.{last}"}
    environments = [env["python"] for env in jobs["environment"]["strategy"]["matrix"]["include"]]
    assert environments == [f"3.{minor}" for minor in range(int(first), int(last) + 1)]


def test_the_pins_are_for_the_oldest_python_in_its_first_release() -> None:
    """Distributions keep a 3.11.2 for years, and pip then says that there is no such version of a package."""
    oldest = PROJECT["requires-python"].removeprefix(">=") + ".0"
    pins = [Requirement(line) for line in (ROOT / "requirements.txt").read_text().splitlines() if line[:1] not in "#"]
    here = [pin.name for pin in pins if pin.marker is None or pin.marker.evaluate()]
    # .get, as a package that does not say which Python it wants is a KeyError once importlib_metadata was imported
    asked = {name: metadata_of(name).get("Requires-Python") or "" for name in here}
    assert {name: python for name, python in asked.items() if oldest not in SpecifierSet(python)} == {}
