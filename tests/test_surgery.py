"""Blocks are taken out, exchanged and added as promised, and the net they are taken from stays as it was."""

import copy

import pytest
import torch
from torch import Tensor, nn

from resnet_lib.evidence.facts import FACTS
from resnet_lib.nets import surgery
from resnet_lib.nets.models import CifarNet, initialize
from resnet_lib.nets.probes import as_in_training

IMAGES = torch.randn(8, 3, 8, 8, generator=torch.Generator().manual_seed(0))
OTHERS = torch.randn(8, 3, 8, 8, generator=torch.Generator().manual_seed(1))


def net(shortcut: str, depth: int = 20, **varied: object) -> CifarNet:
    """A net in which nothing is at its starting value: batch norm's statistics, scales and shifts, too."""
    made = CifarNet(depth, shortcut, **varied)
    initialize(made, seed=0)
    generator = torch.Generator().manual_seed(2)
    for name, value in made.state_dict().items():
        if value.dim() == 1:
            centred = name.endswith(("bias", "running_mean"))  # around 0, the others around 1
            value.copy_(torch.rand(value.shape, generator=generator) * 0.4 + (-0.2 if centred else 0.8))
    return made.eval()


def chained(modules: list[nn.Module], x: Tensor) -> Tensor:
    for module in modules:
        x = module(x)
    return x


def test_blocks_that_keep_the_shape() -> None:
    assert surgery.block_names(net("A")) == [
        *("layer1.0", "layer1.1", "layer1.2"),
        *("layer2.1", "layer2.2"),
        *("layer3.1", "layer3.2"),
    ]
    assert surgery.block_names(net("none")) == surgery.block_names(net("C"))
    assert "layer1.0" not in surgery.block_names(net("B", 11, block="bottleneck"))  # it widens 16 to 64 channels


@pytest.mark.parametrize("shortcut", ["none", "A"])
def test_without_a_block_the_others_do_what_they_did(shortcut: str) -> None:
    whole = net(shortcut)
    before = copy.deepcopy(whole.state_dict())
    without = surgery.delete_blocks(whole, "layer2.1", "layer1.0")
    x = whole.bn1(whole.conv1(IMAGES)).relu()
    kept = [*whole.layer1[1:], whole.layer2[0], whole.layer2[2], *whole.layer3]
    expected = whole.fc(chained(kept, x).mean(dim=(2, 3)))
    assert torch.equal(without(IMAGES), expected)
    assert [len(stage) for stage in without.stages] == [2, 2, 3]
    assert not torch.equal(without(IMAGES), whole(IMAGES))
    without.layer3[0].conv1.weight.data.zero_()  # a copy of its own
    assert all(torch.equal(value, before[name]) for name, value in whole.state_dict().items())


def test_exchanged_blocks_work_in_the_other_order() -> None:
    whole = net("A")
    swapped = surgery.swap_blocks(whole, "layer3.1", "layer3.2")
    x = whole.layer2(whole.layer1(whole.bn1(whole.conv1(IMAGES)).relu()))
    x = chained([whole.layer3[0], whole.layer3[2], whole.layer3[1]], x)
    assert torch.equal(swapped(IMAGES), whole.fc(x.mean(dim=(2, 3))))
    back = surgery.swap_blocks(swapped, "layer3.2", "layer3.1")
    assert torch.equal(back(IMAGES), whole(IMAGES))


def test_what_cannot_be_cut_is_refused() -> None:
    whole = net("A")
    for name in ("layer2.0", "layer1.3", "fc"):
        with pytest.raises(ValueError, match=f"'{name}' is no block that keeps"):
            surgery.delete_blocks(whole, name)
    with pytest.raises(ValueError, match="of two stages"):
        surgery.swap_blocks(whole, "layer1.1", "layer2.1")


@pytest.mark.parametrize("shortcut", ["A", "B", "C"])
@pytest.mark.parametrize("varied", [{}, {"block": "single"}, {"block": "bottleneck"}, {"batch_norm": False}])
def test_residual_blocks_that_start_at_zero_change_nothing(shortcut: str, varied: dict[str, object]) -> None:
    depth = {"single": 8, "bottleneck": 11}.get(str(varied.get("block")), 8)
    shallow = net(shortcut, depth, **varied)
    deeper = surgery.deepen(shallow, 2, "zero")
    assert torch.equal(deeper(IMAGES), shallow(IMAGES))
    with as_in_training(shallow), as_in_training(deeper):
        assert torch.equal(deeper(IMAGES), shallow(IMAGES))
    with pytest.raises(ValueError, match="F\\(x\\) \\+ x would be 2x"):
        surgery.deepen(shallow, 2, "dirac")


@pytest.mark.parametrize("shortcut", ["A", "none"])
def test_a_deepened_net_is_a_net_of_that_depth(shortcut: str) -> None:
    deeper, whole = surgery.deepen(net(shortcut, 8), 2, "random", seed=5), CifarNet(20, shortcut)
    whole.load_state_dict(deeper.state_dict())
    assert torch.equal(whole.eval()(IMAGES), deeper(IMAGES))
    initialize(whole, seed=5)
    new = [name for name, _ in whole.named_parameters() if name.split(".")[1] in ("1", "2")]
    assert len(new) == 3 * 2 * 6
    for name in new:
        assert torch.equal(deeper.get_parameter(name), whole.get_parameter(name)), name


def test_zero_erases_what_a_plain_net_computes() -> None:
    outputs = surgery.deepen(net("none", 8), 1, "zero")(IMAGES)
    assert torch.equal(outputs, outputs[:1].expand_as(outputs))


@pytest.mark.parametrize("varied", [{}, {"block": "single"}, {"batch_norm": False}])
def test_plain_blocks_that_copy_change_nothing(varied: dict[str, object]) -> None:
    shallow = net("none", 8, **varied)
    for images in (None, OTHERS) if varied.get("batch_norm", True) else (None,):
        deeper = surgery.deepen(shallow, 3, "dirac", images=images)
        torch.testing.assert_close(deeper(IMAGES), shallow(IMAGES), rtol=1e-4, atol=1e-5)


def test_the_batchs_statistics_undo_the_copy_unless_it_was_told_them() -> None:
    shallow = net("none", 8)
    new, told = (surgery.deepen(shallow, 3, "dirac", images=images) for images in (None, IMAGES))
    with as_in_training(shallow), as_in_training(new):
        expected, changed = shallow(IMAGES), new(IMAGES)
    assert (changed - expected).abs().max() > 0.1 * expected.abs().max()
    # `images` were told as a finished net sees them, so the old layers have to see them so here, too.
    for block in [stage[index] for stage in told.stages for index in (1, 2, 3)]:
        block.train()
    torch.testing.assert_close(told(IMAGES), shallow(IMAGES), rtol=1e-3, atol=1e-4)


def test_a_start_that_makes_no_sense_is_refused() -> None:
    with pytest.raises(ValueError, match="start is 'ones'; choose one of zero, dirac, random"):
        surgery.deepen(net("A", 8), 1, "ones")
    with pytest.raises(ValueError, match="num_blocks is 0"):
        surgery.deepen(net("A", 8), 0)
    with pytest.raises(ValueError, match="bottleneck cannot be the identity"):
        surgery.deepen(net("none", 11, block="bottleneck"), 1, "dirac")


def test_disagreement_measures_both_ways() -> None:
    one, other = net("A", 8), net("A", 8)
    other.fc.bias.data[3] += 1e6
    difference, elsewhere = surgery.disagreement(one, other, IMAGES)
    assert difference == pytest.approx(1e6 / one(IMAGES).abs().max().item(), rel=1e-3)
    assert elsewhere == 100 * (one(IMAGES).argmax(dim=1) != 3).double().mean()
    buffers = copy.deepcopy(one.state_dict())
    assert surgery.disagreement(one, one, IMAGES, in_training=True) == (0, 0)
    assert all(torch.equal(value, buffers[name]) for name, value in one.state_dict().items())


@pytest.mark.parametrize("name", ["growth-keeps", "plain-contains-shallower"])
def test_facts_of_the_chapter_hold(name: str) -> None:
    holds, evidence = FACTS[name].check()
    assert holds, evidence
