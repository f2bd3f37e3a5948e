"""Trained nets by name: which one is given, what it takes, what its card says, and that it gives its recorded error."""

import os
import runpy

import pytest
import torch
from samples import ROOT, complaint, made_up_record, python, same_tensors

import resnet_lib
from resnet_lib import data, training
from resnet_lib.jobs.campaign import store
from resnet_lib.nets.build import build
from resnet_lib.nets.models import initialize
from resnet_lib.nets.pretrained import NETS, available
from resnet_lib.runs.profiles import PROFILES
from resnet_lib.runs.settings import plain, resnet
from resnet_lib.runs.store import Records, local_dir

BROUGHT = os.environ.get("RESNET_LIB_DATA")  # by whoever runs the tests; conftest takes it from each test
QUICK, PAPER = PROFILES["quick"], PROFILES["paper"]
OURS = 1  # a seed of which no weights ship: only seed 0 has them
COMMITTED = [
    (name, seed, profile)
    for name, setting in NETS.items()
    for profile in (QUICK, PAPER)
    for seed in range(profile.num_seeds)
    if Records.committed().weights(setting.at(profile, seed))
]


def trained(profile: str, seed: int = 0, test_error: float = 20.0) -> dict[str, torch.Tensor]:
    """Weights that nobody trained, with a record that nobody made, where a run of plain-20 leaves them."""
    config = plain(20).at(PROFILES[profile], seed)
    net = build(config.net)
    initialize(net, seed=seed + len(profile))
    store(made_up_record(config, test_error=test_error), net)
    return net.state_dict()


def test_the_fullest_profile_is_given_unless_another_is_asked_for() -> None:
    quick = trained("quick", OURS)
    assert same_tensors(resnet_lib.pretrained("plain20", OURS).net.state_dict(), quick)
    paper, other = trained("paper", OURS), trained("quick", seed=OURS + 1)
    net = resnet_lib.pretrained("plain20", OURS)
    assert same_tensors(net.net.state_dict(), paper)
    assert not net.training
    assert same_tensors(resnet_lib.pretrained("plain20", OURS, "quick").net.state_dict(), quick)
    assert same_tensors(resnet_lib.pretrained("plain20", OURS + 1).net.state_dict(), other)


def test_what_is_not_there_is_answered_with_what_is() -> None:
    assert complaint(lambda: resnet_lib.pretrained("resnet57")).startswith("no net is called 'resnet57'; did you mean")
    trained("quick", OURS)
    message = complaint(lambda: resnet_lib.pretrained("plain20", OURS, "paper"))
    assert message.startswith(f"there are no trained weights of plain20, seed {OURS}, profile paper; there are ")
    assert f"plain20 (seed {OURS}, quick)" in message
    assert "resnet20 (seed 0, quick)" in message  # ships with the package
    assert "choose one of quick, paper" in complaint(lambda: resnet_lib.pretrained("plain20", profile="small"))
    empty = complaint(lambda: resnet_lib.pretrained("plain20", records=Records()))
    assert empty.endswith("there are none at all")


def test_a_damaged_file_is_named() -> None:
    trained("quick", OURS)
    (path,) = local_dir().glob("*.safetensors")
    path.write_bytes(path.read_bytes()[:-9])
    assert complaint(lambda: resnet_lib.pretrained("plain20", OURS)).startswith(f"{path}: cannot be read")


def test_nets_are_called_by_kind_depth_and_option() -> None:
    assert NETS["plain56"] == plain(56)
    assert NETS["resnet110"] == resnet(110)
    assert NETS["resnet32b"] == resnet(32, "B")


def test_pixels_may_be_whole_numbers_or_between_0_and_1() -> None:
    net = resnet_lib.pretrained("resnet20")
    pixels = torch.randint(0, 256, (4, 3, 32, 32), dtype=torch.uint8)
    logits = net(pixels)
    assert logits.shape == (4, 10)
    torch.testing.assert_close(net(pixels.float() / 255), logits, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(net.net((pixels.float() - net.mean) / net.std), logits)
    assert "(4, 1, 32, 32)" in complaint(lambda: net(pixels[:, :1]))
    assert "int64" in complaint(lambda: net(pixels.long()))


def test_its_card_says_what_the_record_says() -> None:
    trained("paper", OURS, test_error=12.34)
    card = resnet_lib.pretrained("plain20", OURS).card
    cells = dict(line.strip("| ").split(" | ", 1) for line in card.splitlines()[4:])
    config = plain(20).at(PAPER, OURS)
    assert cells["Test error"].startswith("12.34% of 10,000 images")
    assert cells["Training error"].startswith("10.00%")
    assert cells["Record"] == f"{config.name}.json"
    assert cells["Profile"] == f"paper: {PAPER.summary}"
    assert cells["Recipe"].startswith("64,000 iterations of 128 images; SGD with momentum 0.9, weight decay 0.0001; ")
    assert "learning rate 0.1, divided by ten at 32,000 and 48,000" in cells["Recipe"]
    assert (cells["Seed"], cells["Made on"]) == (str(OURS), "made up, fp32, torch 2.13.0, 2026-01-01")
    assert "mean image" in cells["Normalisation"]
    assert cells["Licence"].startswith("MIT")


def test_the_card_of_110_layers_tells_its_warm_up() -> None:
    config = resnet(110).at(PAPER, 0)
    store(made_up_record(config), build(config.net))
    assert "learning rate 0.1; 0.01 for the first 400, divided" in resnet_lib.pretrained("resnet110").card


def test_torch_hub_gives_them_without_network() -> None:
    code = (
        "import socket, torch; socket.socket = None;"
        f"net = torch.hub.load({str(ROOT)!r}, 'resnet20', source='local', seed=0, trust_repo=True);"
        "print(net.record.config.name, tuple(net(torch.zeros(2, 3, 32, 32)).shape))"
    )
    done = python("-c", code)
    *_, fullest = (profile for name, seed, profile in COMMITTED if (name, seed) == ("resnet20", 0))
    assert done.stdout == f"{resnet(20).at(fullest, 0).name} (2, 10)\n", done.stderr


def test_torch_hub_names_every_net() -> None:
    assert runpy.run_path(f"{ROOT}/hubconf.py").keys() >= NETS.keys()


def test_importing_the_library_waits_for_no_net() -> None:
    done = python(
        "-c", "import sys, resnet_lib; sys.exit(any(m in sys.modules for m in ('torch', 'numpy', 'pydantic')))"
    )
    assert done.returncode == 0, done.stderr


def test_those_that_ship_are_told() -> None:
    assert len(COMMITTED) >= 3
    assert available(Records.committed()) == [f"{name} (seed {seed}, {p.name})" for name, seed, p in COMMITTED]


@pytest.mark.parametrize(("name", "seed", "profile"), COMMITTED, ids=lambda value: getattr(value, "name", str(value)))
def test_a_loaded_net_gives_its_recorded_error(
    name: str, seed: int, profile: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Half a minute to minutes each. In the arithmetic of the run; another processor rounds bf16 a bit otherwise."""
    if BROUGHT is None or data_is_missing():
        pytest.skip("needs cifar10.npz in RESNET_LIB_DATA")
    monkeypatch.setenv("RESNET_LIB_DATA", BROUGHT)
    net = resnet_lib.pretrained(name, seed, profile.name)
    dataset = data.load("cifar10", 32)
    torch.testing.assert_close(net.mean, dataset.mean, rtol=0, atol=0)
    torch.testing.assert_close(net.std, dataset.std, rtol=0, atol=0)
    hardware = training.Hardware(torch.device("cpu"), net.record.provenance.precision, False)
    wrong = 0
    with torch.no_grad(), hardware.autocast():
        for images, labels in zip(dataset.test_images.split(500), dataset.test_labels.split(500), strict=True):
            wrong += int((net(images).argmax(dim=1) != labels).sum())
    assert wrong / 100 == pytest.approx(net.record.final.test_error, abs=0.05)


def data_is_missing() -> bool:
    return not os.path.exists(os.path.join(BROUGHT or "", "cifar10.npz"))
