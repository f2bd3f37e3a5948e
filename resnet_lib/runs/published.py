"""Nets that others trained at full length and published: the manifest `published.yml`. None of them comes with us.

One net for a depth is a study of published nets, not a replication: they count in no verdict and in no mean over seeds.
"""

import json
from dataclasses import dataclass
from functools import cache
from pathlib import PurePosixPath
from typing import Annotated, Literal

import yaml
from pydantic import Field

from resnet_lib.files import PACKAGE
from resnet_lib.runs.config import Finite, Frozen, NetConfig, Positive
from resnet_lib.runs.experiments import plain, resnet
from resnet_lib.runs.records import Percent, Source

Channels = tuple[Finite, Finite, Finite]  # red, green, blue


class PublishedFile(Frozen):
    """One net's file. Errors in percent are its author's, on CIFAR-10.

    `error` is the test error of the net in the file, and `training_error` its error on augmented training images.
    `best_error` is the lowest test error of the run in any epoch, of which there is no net.
    """

    path: str  # in the repository
    bytes: Positive
    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
    error: Percent
    training_error: Percent | None = None
    best_error: Percent


class Publisher(Frozen):
    """What the nets of one author have in common.

    `names` says what our names are: a `{i}` counts the blocks of a stage from 0 on and `{next}` is one more. The
    weights lie in the file as they are, or under the key `state`, and their names begin with `prefix`. `new_channels`
    is where option A puts the channels that a stage has more than the one before.
    """

    repository: str  # on GitHub
    commit: Annotated[str, Field(pattern="^[0-9a-f]{40}$")]
    licence: str
    epoch: Literal["last", "best on test"]  # of which the nets are
    selected: str  # the same in words, and how that is known
    mean: Channels  # what is subtracted from pixels between 0 and 1
    std: Channels  # by what they are then divided
    state: str | None = None
    prefix: str = ""
    new_channels: Literal["behind", "on both sides"]
    names: dict[str, str]
    nets: dict[str, PublishedFile]


@dataclass(frozen=True)
class PublishedNet:
    """A net of the manifest."""

    author: str
    net: str  # plain-20, ResNet-20
    publisher: Publisher
    file: PublishedFile

    @property
    def name(self) -> str:
        """What it is called here: a-martyn/plain-20."""
        return f"{self.author}/{self.net}"

    @property
    def config(self) -> NetConfig:
        """What kind of net it is; residual ones are of option A."""
        kind, _, depth = self.net.partition("-")
        return plain(int(depth)) if kind == "plain" else resnet(int(depth))

    @property
    def source(self) -> Source:
        """Where it comes from, as a study of it says."""
        publisher, file = self.publisher, self.file
        return Source(repository=publisher.repository, commit=publisher.commit, path=file.path, sha256=file.sha256)

    @property
    def place(self) -> str:
        """Where it lies in a folder of such nets: a-martyn/plainnet20.pt."""
        return f"{self.author}/{PurePosixPath(self.file.path).name}"


@cache
def published_nets() -> dict[str, PublishedNet]:
    """The manifest: name -> net, author by author, plain nets first, the shallowest first."""
    content = yaml.safe_load((PACKAGE / "runs" / "published.yml").read_text(encoding="utf-8"))
    publishers = {author: Publisher.model_validate_json(json.dumps(of)) for author, of in content.items()}
    nets = (
        PublishedNet(author, net, publisher, file)
        for author, publisher in publishers.items()
        for net, file in publisher.nets.items()
    )
    return {net.name: net for net in nets}
