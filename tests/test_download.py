"""A file from whichever host gives it: tried in turn, resumed, and never another file."""

import hashlib
from pathlib import Path

import pytest
from hosts import Host, serving
from samples import complaint

from resnet_lib.data.download import Archive, download
from resnet_lib.data.sets import SOURCES

CONTENT = bytes(range(256)) * 40
OTHER = CONTENT[::-1]


def archive(*hosts: Host) -> Archive:
    return Archive("file.tar.gz", len(CONTENT), hashlib.sha256(CONTENT).hexdigest(), [host.url for host in hosts])


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "downloads" / "file.tar.gz"


def test_the_first_host_that_gives_the_file_is_said_and_the_others_are_not_asked(path: Path) -> None:
    with serving(CONTENT, status=404) as missing, serving(CONTENT) as good, serving(CONTENT) as spare:
        assert download(archive(missing, good, spare), path) == good.name
    assert path.read_bytes() == CONTENT
    assert (missing.asked, good.asked, spare.asked) == ([0], [0], [])


def test_a_host_that_breaks_off_in_the_middle_is_asked_for_the_rest(path: Path) -> None:
    with serving(CONTENT, breaks_off=4000) as host:
        assert download(archive(host), path) == host.name
    assert host.asked == [0, 4000, 8000]
    assert path.read_bytes() == CONTENT


def test_the_next_host_goes_on_where_one_was_lost(path: Path) -> None:
    path.parent.mkdir()
    path.write_bytes(CONTENT[:5000])
    with serving(CONTENT, breaks_off=0) as lost, serving(CONTENT) as good:
        assert download(archive(lost, good), path) == good.name
    assert good.asked == [5000]
    assert path.read_bytes() == CONTENT


def test_a_host_without_ranges_sends_the_whole_file_once_more(path: Path) -> None:
    path.parent.mkdir()
    path.write_bytes(CONTENT[:5000])
    with serving(CONTENT, ranges=False) as host:
        download(archive(host), path)
    assert host.asked == [5000]
    assert path.read_bytes() == CONTENT


@pytest.mark.parametrize("content", [OTHER, CONTENT + b"more"], ids=["as long", "longer"])
def test_a_host_with_another_file_is_left(content: bytes, path: Path) -> None:
    with serving(content) as wrong, serving(CONTENT) as good:
        assert download(archive(wrong, good), path) == good.name
    assert wrong.asked == [0]
    assert path.read_bytes() == CONTENT


def test_what_a_host_with_another_file_began_is_not_held_against_the_next(path: Path) -> None:
    with serving(OTHER, breaks_off=3000, ranges=False) as wrong, serving(CONTENT) as good:
        assert download(archive(wrong, good), path) == good.name
    assert good.asked == [3000, 0]
    assert path.read_bytes() == CONTENT


@pytest.mark.fault("truncated download")
def test_when_no_host_has_the_file_each_is_named_with_its_fault_and_the_beginning_stays(path: Path) -> None:
    with (
        serving(OTHER) as wrong,
        serving(CONTENT, status=503) as busy,
        serving(CONTENT, breaks_off=4000, ranges=False) as broken,
    ):
        line = complaint(lambda: download(archive(wrong, busy, broken), path))
    assert line == (
        f"{wrong.name}: it gives another file; {busy.name}: 503 Service Unavailable; "
        f"{broken.name}: it broke off after 4,000 of 10,240 bytes"
    )
    assert path.read_bytes() == CONTENT[:4000]


def test_what_is_there_whole_is_not_asked_for_again(path: Path) -> None:
    path.parent.mkdir()
    path.write_bytes(CONTENT)
    with serving(CONTENT) as host:
        assert download(archive(host), path) == "an earlier try"
    assert host.asked == []


@pytest.mark.parametrize("name", ["cifar10", "cifar100"])
def test_hosts_are_asked_over_encrypted_connections_and_the_publisher_last(name: str) -> None:
    urls = SOURCES[name].archive.urls
    assert all(url.startswith("https://") for url in urls)
    assert urls[-1].startswith("https://www.cs.toronto.edu/~kriz/")
