"""Toys carry the numbers of the records, and say in words what these say."""

import json
from pathlib import Path

import pytest
from bs4 import BeautifulSoup
from samples import NOWHERE, made_up_record

from resnet_lib.errors import UserError
from resnet_lib.evidence import ledger
from resnet_lib.evidence.facts import Fact
from resnet_lib.runs.profiles import PROFILES
from resnet_lib.runs.published import published_nets
from resnet_lib.runs.records import PublishedStudy, save_record, save_study
from resnet_lib.runs.settings import plain, resnet
from resnet_lib.runs.store import Records
from resnet_lib.show import toys

QUICK = PROFILES["quick"]


def parsed(text: str) -> BeautifulSoup:
    return BeautifulSoup(text, "html.parser")


def carried(text: str) -> object:
    return json.loads(parsed(text).find("script").string)


def recorded(folder: Path, errors: dict[tuple, list[float]]) -> Records:
    """Runs of these nets, a seed for each test error; training errors are one point lower."""
    for (net, depth), tested in errors.items():
        for run, error in zip(net(depth).runs(QUICK), tested, strict=False):
            save_record(made_up_record(run, error - 1, error), folder)
    return Records(folder)


# ------------------------------------------------------------------------------------------------ depth and shortcuts


def test_each_state_tells_the_means_of_its_net(tmp_path: Path) -> None:
    errors = {(plain, 20): [15, 17], (plain, 56): [55.5], (resnet, 20): [13], (resnet, 56): [19, 21], (plain, 32): [9]}
    toy = toys.depth(QUICK, recorded(tmp_path, errors))
    states = {state["net"]: state for row in carried(toy) for state in row}
    assert {net: state["address"] for net, state in states.items()} == {
        "plain-20": "20-layers-without-x",
        "plain-56": "56-layers-without-x",
        "ResNet-20 A": "20-layers-with-x",
        "ResNet-56 A": "56-layers-with-x",
    }  # not plain-32, which has nothing beside it
    said = states["ResNet-56 A"]["said"]
    assert said == "56 layers with + x: 20.0% of the test images wrong, 19.0% of its own training images."
    cells = [[cell.text for cell in row("td")] for row in parsed(toy).select("tbody tr")]
    assert cells == [["20", "16.0", "13.0", "15.0", "12.0"], ["56", "55.5", "20.0", "54.5", "19.0"]]


def test_the_sentence_gives_the_errors_of_the_deepest_and_the_shallowest_net(tmp_path: Path) -> None:
    errors = {(plain, 20): [15], (plain, 44): [35.4], (resnet, 20): [13], (resnet, 44): [11]}
    sentence = parsed(toys.depth(QUICK, recorded(tmp_path, errors))).select_one(".headline").text
    assert sentence == "Of 100 test images, plain nets of 20 and 44 layers get 15 and 35 wrong; with + x, 13 and 11."


def test_every_net_of_a_state_is_drawn_and_so_are_its_blocks() -> None:
    toy = toys.depth(QUICK, Records.committed())
    states = [state for row in carried(toy) for state in row]
    drawn = parsed(toy).select_one(".panels")
    for state in states:
        assert len(drawn.find_all(attrs={"data-net": state["net"]})) >= 2
        net = drawn.find(attrs={"data-layers": str(state["layers"])})
        assert len(net.find_all("polygon", recursive=False)) == (state["layers"] - 2) / 2
        assert len(net.select(".shortcut path")) == (state["layers"] - 2) / 2
    seen = [group["data-layers"] for group in drawn.find_all(attrs={"data-layers": True}) if not group.get("style")]
    assert seen == [str(max(state["layers"] for state in states))]


def test_the_footer_counts_the_seeds(tmp_path: Path) -> None:
    errors = {(plain, 20): [15, 16], (plain, 44): [35], (plain, 56): [40, 41], (resnet, 44): [11]}
    errors |= {(resnet, 20): [13, 12, 11], (resnet, 56): [9, 9]}
    footer = parsed(toys.depth(QUICK, recorded(tmp_path, errors))).select_one(".footer").text
    assert footer.endswith("; 2 seeds at 20 and 56 layers, 1 at 44.")


def test_one_depth_is_not_enough(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="profile quick has runs of 1 depths, and a comparison takes two"):
        toys.depth(QUICK, recorded(tmp_path, {(plain, 20): [15], (resnet, 20): [13]}))


# ------------------------------------------------------------------------------------------------- a block taken out


def test_each_block_has_the_error_that_was_measured_without_it(tmp_path: Path) -> None:
    net = published_nets()["a-martyn/plain-20"]
    errors = {"whole net": 9.0, "layer1.0": 80.0, "layer1.2": 81.25, "layer2.1": 70.0, "layer3.2": 90.0}
    study = PublishedStudy(
        format=1,
        study="delete-block",
        net=net.name,
        source=net.source,
        num_images=2000,
        label=tuple(errors),
        value=tuple(errors.values()),
        provenance=NOWHERE,
    )
    save_study(study, tmp_path)
    data = carried(toys.lesions(Records(tmp_path)))
    (told,) = data["nets"]
    assert data["first"] == 0 and told["name"] == "plain-20, by a-martyn"
    assert told["whole"] == "plain-20, whole: 9.0% of 2,000 test images wrong."
    assert told["stages"] == [
        [[1, "80.0%"], [2, None], [3, "81.2%"]],
        [[4, None], [5, "70.0%"], [6, None]],
        [[7, None], [8, None], [9, "90.0%"]],
    ]


def test_without_a_script_a_deepest_residual_net_is_told_of_and_whose_it_is() -> None:
    toy = toys.lesions(Records.committed())
    data = carried(toy)
    net = data["nets"][data["first"]]
    assert net["name"] == "ResNet-56, by a-martyn"
    said = parsed(toy).select_one(".told").text
    assert all(
        f"{number}: {error}" in said.replace("block ", "")
        for stage in net["stages"]
        for number, error in stage
        if error
    )
    assert "Trained on CIFAR-10 by others, one net per depth: a-martyn/resnet" in parsed(toy).select_one(".footer").text


def test_a_book_without_nets_of_others_says_what_is_missing(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no net of others was measured without its blocks"):
        toys.lesions(Records(tmp_path))


# --------------------------------------------------------------------------------------------------- verdicts to guess


@pytest.fixture(scope="module")
def quiz() -> str:
    return toys.guesses(Records.committed())


def test_each_note_asks_for_its_first_verdict_in_the_ledger(quiz: str) -> None:
    records = Records.committed()
    rows = parsed(ledger.table(records) + ledger.fact_table()).select("tr[id]")
    place = {row["id"]: number for number, row in enumerate(rows)}
    items = parsed(quiz).select("li")
    assert len(items) == len(toys.NOTES) == 10
    for note, item in zip(toys.NOTES, items, strict=True):
        link = item.a["href"].removeprefix("#")
        judged = [
            ledger.anchor(entry.name)
            for entry in ledger.covering(note)
            if isinstance(entry, Fact) or ledger.best_verdict(entry, records).status in toys.ANSWERS
        ]
        assert link == min(judged, key=place.get)
        assert item.p.contents[0] in rows[place[link]].td.text
        assert item.small.text == "by construction" or item.small.text in item.details.text  # at which scale


def test_what_is_right_is_what_the_ledger_says(quiz: str) -> None:
    records = Records.committed()
    table = parsed(ledger.table(records) + ledger.fact_table())
    for item in parsed(quiz).select("li"):
        cells = table.find(id=item.a["href"].removeprefix("#")).select("td.verdict")
        first = next(cell for cell in cells if set(cell["class"]) & {*toys.ANSWERS})  # the paper's schedule is first
        assert item["data-verdict"] in first["class"] and first.b.text.rstrip(ledger.FALLS) == item.details.b.text


def test_the_score_of_always_saying_the_same_is_counted(quiz: str) -> None:
    right = [item["data-verdict"] for item in parsed(quiz).select("li")]
    data = carried(quiz)
    usual = max(data["answers"], key=right.count)
    assert data["always"] == f"“{data['answers'][usual]}” throughout would be right {right.count(usual)} times."


def test_without_runs_only_what_needs_none_is_asked(tmp_path: Path) -> None:
    items = parsed(toys.guesses(Records(tmp_path))).select("li")
    assert 0 < len(items) < len(toys.NOTES) and {item.details.b.text for item in items} == {"holds"}
