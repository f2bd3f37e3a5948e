"""Sentences that repeat a verdict in words stand as long as the records give that verdict, and no longer."""

import shutil
from pathlib import Path
from typing import NamedTuple

import pytest
from samples import made_up_record

from resnet_lib.evidence.claims import CLAIMS
from resnet_lib.files import PACKAGE
from resnet_lib.runs.profiles import PROFILES
from resnet_lib.runs.records import save_record
from resnet_lib.runs.seal import SEAL
from resnet_lib.runs.settings import plain, resnet
from resnet_lib.runs.store import Records, committed_dir


class Said(NamedTuple):
    """A sentence of a text, and the verdicts that it rests on: (claim, profile) -> status."""

    text: str  # the file
    sentence: str
    rests_on: dict[tuple[str, str], str]

    def stands(self, records: Records) -> bool:
        """Whether records give these verdicts."""
        judged = (CLAIMS[claim].verdict(PROFILES[profile], records).status for claim, profile in self.rests_on)
        return list(judged) == list(self.rests_on.values())


DEGRADES = {("degradation", "small"): "supported", ("degradation", "quick"): "supported"}
SAID = (
    Said(
        "chapters/13_ledger.md",
        "on clothes with 400 steps, and on CIFAR-10 at a tenth of the paper's schedule, plain-56 fits its own training "
        "images worse than plain-20. With shortcuts most of that harm is gone.",
        DEGRADES | {("shortcuts-help", "small"): "supported", ("shortcuts-help", "quick"): "supported"},
    ),
    Said(
        "chapters/13_ledger.md",
        "each net at its own best learning rate, the deeper one gains less than half a point, if anything.",
        {("tuned-depth-helps", "small"): "refuted"},
    ),
    Said(
        "chapters/13_ledger.md",
        "A shortcut over a single layer is some use there, and blocks that start as the identity, a later idea, cost "
        "more than they bring unless the rate is too large.",
        {("one-layer", "small"): "refuted", ("zero-init-helps", "small"): "refuted"},
    ),
    Said(
        "chapters/01_degradation.md",
        "what it gains, if anything, is less than half a point.",
        {("tuned-depth-helps", "small"): "refuted"},
    ),
    Said(
        "chapters/03_residual_formulation.md",
        "The paper's words deny an advantage, and here there is one.",
        {("one-layer", "small"): "refuted"},
    ),
    Said(
        "chapters/03_residual_formulation.md",
        "holds at a learning rate that is too large for it, and not at one that suits it.",
        {("zero-init-helps", "smoke"): "supported", ("zero-init-helps", "small"): "refuted"},
    ),
    Said(
        "chapters/03_residual_formulation.md",
        "What does hold is the sense of it, that a block changes its input by less than the input itself.",
        {("branches-small", "small"): "supported", ("responses-smaller", "small"): "undecided"},
    ),
    Said(
        "chapters/13_ledger.md",
        "At a learning rate of 0.1 and 200 steps, a plain net of 56 layers ends near the error of guessing;",
        {("degradation", "smoke"): "did not start"},
    ),
    Said(
        "chapters/08_cifar10.md",
        "At a fifth of it, warmed up, and with 400 iterations, ResNet-20 and ResNet-56 end level.",
        {("depth-helps-resnets", "small"): "undecided", ("depth-helps-resnets", "smoke"): "refuted"},
    ),
    Said(
        "chapters/08_cifar10.md",
        "not in its median layer, and more depth does not bring smaller responses.",
        {("responses-smaller", "quick"): "undecided", ("responses-shrink-with-depth", "smoke"): "undecided"},
    ),
    Said(
        "chapters/03_residual_formulation.md",
        "Take *any* block from a plain net, and little but guessing is left, at 20 layers as at 56.",
        {("lesion-cheap", "small"): "supported", ("lesion-cheap-20", "small"): "supported"},
    ),
    Said(
        "chapters/06_bottleneck.md",
        "**Without shortcuts deep bottlenecks do not start.**",
        {("plain-bottlenecks-degrade", "smoke"): "did not start"},
    ),
    Said(
        "chapters/09_imagenet.md",
        "Plain-34 does not start where plain-18 does.",
        {("plain-34-worse", "smoke"): "did not start"},
    ),
    Said(
        "chapters/12_beyond_convolutions.md",
        "Without shortcuts the deeper net fits its own training images worse; with them it does not.",
        {("transformer-degrades", "smoke"): "supported", ("transformer-shortcuts-help", "smoke"): "supported"},
    ),
    Said(
        "chapters/18_how_much_is_noise.md",
        "No seed is better than another as far as this test set can tell, and nothing is gained by picking one.",
        {("scatter-is-sampling-20", "small"): "supported"},
    ),
    Said(
        "chapters/18_how_much_is_noise.md",
        "with each of the three seeds, after no more than 400 iterations, though three are too few for a verdict.",
        {("one-bit-a-new-seed", "small"): "undecided"},
    ),
    Said(
        "chapters/18_how_much_is_noise.md",
        "In between, the ten seeds do not settle which part of ResNet-56's variance is the larger.",
        {("scatter-is-sampling-56", "small"): "undecided"},
    ),
    Said(
        "chapters/01_degradation.md",
        "It appears on CIFAR-10 at a tenth of the paper's schedule, and within a minute on other, smaller images;",
        DEGRADES,
    ),
    Said(
        "chapters/01_degradation.md",
        "it is there when both nets have their own best learning rate.",
        {("tuned-degradation", "small"): "supported"},
    ),
    Said(
        "chapters/01_degradation.md",
        "Shortcuts remove most of what depth costs.",
        {("shortcuts-help", "small"): "supported", ("shortcuts-help", "quick"): "supported"},
    ),
)


def in_one_line(text: str) -> str:
    """A text without its line breaks."""
    return " ".join(text.split())


@pytest.mark.parametrize("said", SAID, ids=lambda said: said.sentence[:40])
def test_what_is_said_is_what_the_records_say(said: Said) -> None:
    text = (PACKAGE.parent / said.text).read_text(encoding="utf-8")
    assert said.sentence in in_one_line(text), f"{said.text} does not say this any more: change this list"
    assert said.stands(Records.committed()), f"{said.text}: the records say otherwise now: {said.rests_on}"


def test_a_contrary_record_makes_a_sentence_fail(tmp_path: Path) -> None:
    """Of the four nets that the first sentence speaks of, one is made to end elsewhere."""
    shutil.copytree(committed_dir(), tmp_path / "records", ignore=shutil.ignore_patterns(SEAL))
    records = Records(tmp_path / "records")
    first = SAID[0]
    assert first.stands(records)
    for net, error in ((plain(56), 1.0), (resnet(56), 40.0)):
        config = net.at(PROFILES["quick"], 0)
        (path,) = tmp_path.rglob(f"{config.name}.json")
        whole = path.read_text()
        assert save_record(made_up_record(config, train_error=error), path.parent) == path
        assert not first.stands(records), net.name
        path.write_text(whole)
    assert first.stands(records)
