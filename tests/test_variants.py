"""What chapters vary in nets, data and recipes does what it says, and nothing else."""

import dataclasses
from collections.abc import Callable

import pytest
import torch
from samples import measured, tiny_config, tiny_dataset
from sklearn import datasets as sklearn_datasets
from torch import nn
from torch.nn import functional as F

from resnet_lib import data
from resnet_lib.data.tabular import TABULAR
from resnet_lib.errors import UserError
from resnet_lib.nets.blocks import BLOCKS, MOVED
from resnet_lib.nets.models import CifarNet, ImageNetNet, initialize, num_parameters
from resnet_lib.runs.config import NetConfig, RunConfig
from resnet_lib.runs.settings import fully_connected, plain, resnet, table1, transformer
from resnet_lib.training import Hardware, build, train

FP32 = Hardware(torch.device("cpu"), "fp32", compiled=False)
IMAGES = torch.randn(4, 3, 16, 16, generator=torch.Generator().manual_seed(0))


def made(depth: int = 20, shortcut: str = "A", **varied: object) -> CifarNet:
    net = CifarNet(depth, shortcut, image_size=16, **varied)
    initialize(net, seed=0)
    return net.eval()


def has_shortcut(net: CifarNet) -> list[list[bool]]:
    return [[block.downsample is not None for block in stage] for stage in net.stages]


# Nets.

VARIANTS: list[dict[str, object]] = [
    {},
    {"block": "single"},
    {"block": "pre-activation"},
    {"block": "norm after addition"},
    {"placement": "stage"},
    {"placement": "alternate"},
    {"batch_norm": False},
    {"zero_init": True},
    {"head": (32,)},
    {"head": (32, 16)},
    {"head": (32, 16), "pool": "flatten"},
    {"stride_in": "second"},
    {"stride_in": "none"},
    {"stem_relu": False},
    {"projection_norm": False},
    {"batch_norm": False, "init": "skipinit"},
    {"batch_norm": False, "init": "fixup"},
    {"init": "dirac"},
    {"init": "orthogonal"},
]


@pytest.mark.parametrize("shortcut", ["A", "B", "C", "scaled", "gated"])
@pytest.mark.parametrize("varied", VARIANTS, ids=str)
def test_every_variant_gives_logits_and_a_gradient_for_every_parameter(varied: dict, shortcut: str) -> None:
    net = made(20, shortcut, **varied).train()
    logits = net(IMAGES)
    assert logits.shape == (4, 10)
    F.cross_entropy(logits, torch.tensor([0, 1, 2, 3])).backward()
    assert all(parameter.grad is not None for parameter in net.parameters())


def test_a_block_of_every_kind_has_its_layers_and_depth_counts_them() -> None:
    for kind, depth in (("single", 11), ("basic", 20), ("bottleneck", 29), *((moved, 20) for moved in MOVED)):
        net = made(depth, "A", block=kind)
        convolutions = [m for m in net.modules() if isinstance(m, nn.Conv2d)]
        assert len(convolutions) + 1 == depth  # and one fully connected layer
        assert all(len(stage) == 3 for stage in net.stages)
        assert BLOCKS[kind].num_layers * 9 + 2 == depth


@pytest.mark.parametrize(
    ("kind", "first"),
    [("basic", "8, 14, 20"), ("single", "5, 8, 11"), ("bottleneck", "11, 20, 29"), ("pre-activation", "8, 14, 20")],
)
def test_an_impossible_depth_is_refused_with_the_right_ones(kind: str, first: str) -> None:
    with pytest.raises(ValueError, match=f"depth is 21; a CIFAR net of {kind} blocks has .n.2 layers: {first}"):
        CifarNet(21, "A", block=kind)


def test_shortcuts_stand_where_the_placement_says() -> None:
    assert has_shortcut(made(26, "A", placement="every")) == [[True] * 4] * 3
    assert has_shortcut(made(26, "A", placement="alternate")) == [[True, False, True, False]] * 3
    assert has_shortcut(made(26, "A", placement="stage")) == [[True, False, False, False]] * 3
    assert has_shortcut(made(26, "none")) == [[False] * 4] * 3


def test_nets_that_differ_in_shortcuts_alone_start_from_the_same_weights() -> None:
    twins = [made(20, "none"), made(20, "A", placement="stage"), made(20, "scaled"), made(20, "C"), made(20, "gated")]
    for name, value in twins[0].named_parameters():
        for twin in twins[1:]:
            assert torch.equal(value, twin.get_parameter(name)), name


def test_zero_init_makes_every_block_its_shortcut() -> None:
    net = made(20, "A", zero_init=True)
    block = net.layer2[1]
    x = torch.randn(2, 32, 8, 8).relu()
    assert torch.equal(block(x), x)
    zero, one = made(20, "A", zero_init=True), made(20, "A")
    scales = {name for name, value in zero.named_parameters() if not torch.equal(value, one.get_parameter(name))}
    assert scales == {f"layer{stage}.{block}.bn2.weight" for stage in (1, 2, 3) for block in range(3)}


def test_without_batch_norm_convolutions_have_biases_that_start_at_zero() -> None:
    net = made(20, "C", batch_norm=False)
    assert not [m for m in net.modules() if isinstance(m, nn.BatchNorm2d)]
    biases = [m.bias for m in net.modules() if isinstance(m, nn.Conv2d)]
    assert all(bias is not None and not bias.any() for bias in biases)
    assert made(20, "gated", batch_norm=False).layer1[0].downsample.gate.bias is None  # no batch norm follows it


def test_a_shortcut_past_pre_activation_blocks_leads_through_nothing() -> None:
    net = made(20, "A", block="pre-activation")
    inside: list[torch.Tensor] = []
    net.layer1[0].register_forward_pre_hook(lambda _, inputs: inside.append(inputs[0]))
    net.layer1[2].register_forward_hook(lambda _, __, out: inside.append(out))
    for block in net.layer1:
        nn.init.zeros_(block.conv2.weight)
    x = torch.randn(2, 16, 8, 8)  # not only what is positive: no ReLU stands on the way
    assert torch.equal(net.layer1[1](x), x)
    net(IMAGES)
    assert torch.equal(inside[1], inside[0])


def test_moved_blocks_compute_what_the_follow_up_paper_draws() -> None:
    x = torch.randn(2, 32, 8, 8)
    block = made(20, "A", block="pre-activation").layer2[1]
    inner = block.conv2(block.bn2(block.conv1(block.bn1(x).relu())).relu())
    assert torch.equal(block(x), x + inner)
    block = made(20, "A", block="norm after addition").layer2[1]
    assert torch.equal(block(x), block.bn2(x + block.conv2(block.bn1(block.conv1(x)).relu())).relu())


def test_moved_blocks_have_the_weights_of_usual_ones_and_as_many_batch_norms() -> None:
    usual, before, after = (made(20, "A", block=kind) for kind in ("basic", *MOVED))
    for name, value in usual.named_parameters():
        if value.dim() > 1:
            assert torch.equal(before.get_parameter(name), value), name
            assert torch.equal(after.get_parameter(name), value), name
    assert [sum(isinstance(m, nn.BatchNorm2d) for m in net.modules()) for net in (usual, before, after)] == [19] * 3
    assert num_parameters(usual) == num_parameters(after) == num_parameters(before)


@pytest.mark.parametrize("kind", MOVED)
@pytest.mark.parametrize("varied", [{"batch_norm": False}, {"zero_init": True}], ids=str)
def test_moved_blocks_are_refused_where_they_have_no_batch_norm(kind: str, varied: dict[str, bool]) -> None:
    with pytest.raises(ValueError, match=f"^{kind} blocks have a batch norm, but none at the end of F"):
        CifarNet(20, "A", block=kind, **varied)


def test_zero_init_without_batch_norm_is_refused() -> None:
    with pytest.raises(ValueError, match="needs batch_norm"):
        CifarNet(20, "A", batch_norm=False, zero_init=True)


@pytest.mark.parametrize("init", ["skipinit", "fixup"])
def test_without_batch_norm_a_branch_can_start_at_zero_and_leave(init: str) -> None:
    net = made(20, "A", batch_norm=False, init=init)
    block, x = net.layer2[1], torch.randn(2, 32, 8, 8).relu()
    assert torch.equal(block(x), x)
    assert num_parameters(net) == num_parameters(made(20, "A", batch_norm=False)) + 9  # one number a block
    for _ in range(3):  # Fixup's classifier is zero, and stops all gradients in the first step
        F.cross_entropy(net(IMAGES), torch.tensor([0, 1, 2, 3])).backward()
        with torch.no_grad():
            for parameter in net.parameters():
                parameter -= 0.1 * parameter.grad
    assert not torch.equal(block(x), x)


def test_skipinit_changes_no_weight_and_fixup_those_that_it_says() -> None:
    he, skipinit, fixup = (
        made(20, "A", batch_norm=False, **varied) for varied in ({}, {"init": "skipinit"}, {"init": "fixup"})
    )
    for name, value in he.named_parameters():
        assert torch.equal(value, skipinit.get_parameter(name)), name
        small = value / 3 if ".conv1.weight" in name else 0 * value  # of nine blocks: 9 to the power of -1/2
        expected = value if name == "conv1.weight" else small
        assert torch.allclose(fixup.get_parameter(name), expected), name


@pytest.mark.parametrize(
    "varied",
    [
        {},
        {"shortcut": "none", "batch_norm": False},
        {"placement": "stage", "batch_norm": False},
        {"block": "single", "batch_norm": False},
    ],
    ids=str,
)
def test_small_branches_are_refused_where_they_are_none_or_are_normalised(varied: dict) -> None:
    for init in ("skipinit", "fixup"):
        with pytest.raises(ValueError, match=f"{init} is for blocks of several layers, all with shortcuts, in a net w"):
            made(**varied, init=init)


def test_layers_that_start_as_the_identity_pass_the_image_on_with_a_little_noise() -> None:
    net, he = made(20, "none", init="dirac"), made(20, "none")
    x = torch.randn(2, 16, 8, 8)
    for layer, usual in ((net.layer1[0].conv1, he.layer1[0].conv1), (net.layer2[0].conv1, he.layer2[0].conv1)):
        passed = layer(x) - 0.1 * usual(x)
        kept = x[:, :, :: layer.stride[0], :: layer.stride[0]]
        assert torch.allclose(passed[:, :16], kept, atol=1e-5)
        assert torch.allclose(passed[:, 16:], torch.zeros(()), atol=1e-5)
    assert torch.equal(net.conv1.weight, he.conv1.weight) and torch.equal(net.fc.weight, he.fc.weight)


@pytest.mark.parametrize("block", ["basic", "bottleneck"])
def test_layers_that_start_as_rotations_keep_lengths(block: str) -> None:
    net = made({"basic": 20, "bottleneck": 29}[block], "none", block=block, init="orthogonal")
    for layer, _ in (pair for each in net.layer2 for pair in each.layers):
        middle = layer.kernel_size[0] // 2
        matrix = layer.weight[:, :, middle, middle].clone()
        short = min(matrix.shape)
        product = matrix.T @ matrix if matrix.shape[1] == short else matrix @ matrix.T
        assert torch.allclose(product, torch.eye(short), atol=1e-5)
        assert layer.weight.square().sum().item() == pytest.approx(short, rel=1e-5)  # all else is zero
    assert not torch.equal(net.layer2[1].conv1.weight, net.layer2[1].conv2.weight)


def test_a_scaled_shortcut_halves_and_a_gated_one_lets_nearly_all_pass() -> None:
    x = torch.randn(2, 16, 8, 8)
    assert torch.equal(made(20, "scaled").layer1[0].downsample(x), 0.5 * x)
    gated = made(20, "gated").layer1[0].downsample
    nn.init.zeros_(gated.gate.weight)
    assert torch.allclose(gated(x), x / (1 + torch.tensor(-6.0).exp()))


def sides(net: CifarNet) -> list[int]:
    """Resolution after the stem and each stage."""
    seen: list[int] = []
    for module in (net.conv1, *net.stages):
        module.register_forward_hook(lambda _m, _i, out: seen.append(out.shape[-1]))
    net(IMAGES)
    return seen


def test_the_stride_lies_where_it_is_put() -> None:
    assert sides(made()) == sides(made(stride_in="second")) == [16, 16, 8, 4]
    assert sides(made(stride_in="none")) == [16, 16, 16, 16]
    assert made(stride_in="second").layer2[0].conv1.stride == (1, 1)
    assert made(stride_in="second").layer2[0].conv2.stride == (2, 2)
    assert num_parameters(made(stride_in="second")) == num_parameters(made())
    with pytest.raises(ValueError, match="no second layer"):
        CifarNet(20, "A", block="single", stride_in="second")


def test_a_head_has_its_hidden_layers_and_flattening_keeps_positions() -> None:
    assert num_parameters(made(head=(32,))) - num_parameters(made()) == (64 * 32 + 32 + 32 * 10 + 10) - (64 * 10 + 10)
    assert made(head=(7,), pool="flatten").fc[0].in_features == 64 * 4 * 4


def test_no_relu_after_the_stem_lets_negative_values_into_the_first_block() -> None:
    seen: dict[bool, torch.Tensor] = {}
    for stem_relu in (True, False):
        net = made(stem_relu=stem_relu)
        net.layer1.register_forward_pre_hook(lambda _m, inputs, key=stem_relu: seen.update({key: inputs[0]}))
        net(IMAGES)
    assert (seen[True] >= 0).all()
    assert (seen[False] < 0).any()
    assert torch.equal(seen[False].relu(), seen[True])


def test_a_projection_without_batch_norm_has_none() -> None:
    with_norm, without = made(20, "B"), made(20, "B", projection_norm=False)
    assert isinstance(with_norm.layer2[0].downsample[1], nn.BatchNorm2d)
    assert isinstance(without.layer2[0].downsample[1], nn.Identity)
    assert isinstance(without.layer2[0].bn1, nn.BatchNorm2d)


@pytest.mark.parametrize(
    "config",
    [
        resnet(29, "B", block="bottleneck", head=(32,), zero_init=True).net,
        plain(20, batch_norm=False, pool="flatten").net,
        table1(18, "A").net,
        transformer(2, "none").net,
        fully_connected(3, "wine").net,
    ],
    ids=lambda config: config.name,
)
def test_every_field_of_a_config_reaches_the_net(config: NetConfig) -> None:
    net = build(config, in_channels=1, num_classes=7, image_size=16)
    assert net(torch.randn(2, 1, 16, 16)).shape == (2, 7)
    if config.family == "cifar":
        varied = config.model_dump(exclude={"family"})
        twin = CifarNet(**varied, in_channels=1, num_classes=7, image_size=16)
        assert str(twin) == str(net)


def test_imagenet_nets_take_grey_images() -> None:
    assert ImageNetNet(18, "A", 10, in_channels=1)(torch.randn(2, 1, 32, 32)).shape == (2, 10)


# Data.


def test_validation_images_are_held_back_from_training_and_the_test_set_is_gone() -> None:
    full = tiny_full()
    held = data.split(full, None, 1000)
    assert len(held.train_labels) == 5000
    assert held.test_labels.bincount().tolist() == [100] * 10
    train_rows = {image.numpy().tobytes() for image in held.train_images}
    assert not train_rows & {image.numpy().tobytes() for image in held.test_images}
    everything = torch.cat([held.train_images, held.test_images]).flatten(1).sort(dim=0).values
    assert torch.equal(everything, full.train_images.flatten(1).sort(dim=0).values)


def test_few_images_are_as_many_of_each_class_and_have_their_own_mean() -> None:
    full = tiny_full()
    few = data.split(full, 600, 0)
    assert few.train_labels.bincount().tolist() == [60] * 10
    assert torch.equal(few.test_images, full.test_images)
    assert torch.allclose(few.mean, few.train_images.float().mean(dim=0), atol=1e-3)
    assert data.split(full, None, 0) is full


def tiny_full() -> data.Dataset:
    return data.load("fashion-mnist-mini", 16)


@pytest.mark.parametrize(
    ("num_train", "validation", "message"),
    [
        (601, 0, "num_train is 601; it must be a multiple of the 10 classes"),
        (None, 15, "validation is 15; it must be a multiple"),
        (6010, 0, "has only 600 a class"),
        (5500, 1000, "has only 600 a class"),
        (None, 6000, "has only 600 a class"),
    ],
)
def test_more_images_than_there_are_is_refused(num_train: int | None, validation: int, message: str) -> None:
    with pytest.raises(UserError, match=message):
        data.split(tiny_full(), num_train, validation)


def test_channel_mean_and_nothing_are_subtracted_as_said() -> None:
    full = tiny_full()
    images = full.train_images.float()
    channel = data.subtract(full, "channel mean").normalize(full.train_images)
    assert torch.allclose(channel, (images - images.mean()) / full.std, atol=1e-4)
    assert torch.allclose(data.subtract(full, "nothing").normalize(full.train_images), images / full.std)
    assert data.subtract(full, "pixel mean") is full


@pytest.mark.parametrize("name", TABULAR)
def test_feature_sets_are_split_once_and_standardised(name: str) -> None:
    source = TABULAR[name]
    one, other = data.load(name, source.image_size), data.load(name, source.image_size)
    assert one.digest == other.digest
    assert one.num_classes == source.num_classes == len(one.train_labels.unique()) == len(one.test_labels.unique())
    features = one.normalize(one.train_images).double()
    axes = (0,) if source.image_size == 1 else (0, 1, 2, 3)
    assert torch.allclose(features.mean(dim=0), torch.zeros_like(features[0]), atol=1e-5)
    assert torch.allclose((features**2).mean(dim=axes), torch.ones((), dtype=torch.double), atol=1e-4)
    train_rows = {row.numpy().tobytes() for row in one.train_images}
    common = train_rows & {row.numpy().tobytes() for row in one.test_images}
    assert len(common) <= 1  # digits has a pair of equal images
    with pytest.raises(UserError, match=f"{name} has only {source.image_size}"):
        data.load(name, 32)


@pytest.mark.parametrize(("name", "loader"), [("digits", "load_digits"), ("wine", "load_wine")])
def test_scikit_learns_rows_are_all_there(name: str, loader: str) -> None:
    bunch = getattr(sklearn_datasets, loader)()
    mine = data.load(name, TABULAR[name].image_size)
    rows = torch.cat([mine.train_images, mine.test_images]).flatten(1).double()
    expected = torch.from_numpy(bunch.data).double()
    assert torch.allclose(rows.sum(dim=0), expected.sum(dim=0), rtol=1e-6)
    labels = torch.cat([mine.train_labels, mine.test_labels]).bincount()
    assert labels.tolist() == torch.from_numpy(bunch.target).bincount().tolist()


def test_parity_is_the_parity_of_three_signs() -> None:
    parity = data.load("parity", 1)
    signs = (parity.train_images.flatten(1)[:, :3] > 0).sum(dim=1) % 2
    assert torch.equal(signs, parity.train_labels)


# Recipes.


def trained(config: RunConfig, **data_changes: object) -> tuple[dict[str, object], nn.Module]:
    record, net = train(config, dataclasses.replace(tiny_dataset(), **data_changes), FP32)
    return measured(record), net


@pytest.mark.parametrize(
    "changes",
    [{"decayed": "all"}, {"momentum_form": "caffe"}, {"subtract": "nothing"}, {"bn_statistics": "re-estimated"}],
    ids=str,
)
def test_each_departure_of_a_recipe_changes_the_run(changes: dict[str, object]) -> None:
    usual, _ = trained(tiny_config())
    other, _ = trained(tiny_config(**changes))
    assert usual["final"] != other["final"]


def test_reestimating_changes_statistics_at_the_end_and_no_weight() -> None:
    _, usual = trained(tiny_config())
    _, other = trained(tiny_config(bn_statistics="re-estimated"))
    for (name, one), two in zip(usual.state_dict().items(), other.state_dict().values(), strict=True):
        if "running" in name:
            assert not torch.equal(one, two), name
        elif "num_batches" not in name:
            assert torch.equal(one, two), name


DIVERGING: dict[str, object] = {"lr": 1e30, "on_divergence": "record"}


@pytest.mark.fault("loss that is not finite")
def test_a_run_that_diverges_is_a_result_where_the_recipe_says_so() -> None:
    record, _ = train(tiny_config(plain(8, batch_norm=False), **DIVERGING), tiny_dataset(), FP32)
    assert record.diverged_at == record.train_curve.iteration[-1] == record.test_curve.iteration[-1] == 5
    assert record.train_curve.loss[-1] is None
    assert record.probes is None
    assert record.final.train_loss is None
    guessing = 100 * (1 - tiny_dataset().train_labels.bincount()[0].item() / 256)
    assert record.final.train_error == pytest.approx(guessing)
    assert type(record).model_validate_json(record.to_json()) == record


def test_a_net_without_3x3_layers_has_no_probes() -> None:
    record, _ = train(tiny_config(transformer(1)), tiny_dataset(), FP32)
    assert record.probes is None
    assert type(record).model_validate_json(record.to_json()) == record


def test_a_batch_larger_than_the_training_set_is_refused() -> None:
    with pytest.raises(UserError, match="batch size is 500, but there are 256 training images"):
        train(tiny_config(batch_size=500), tiny_dataset(), FP32)


CHECKS: list[Callable[[], object]] = [
    lambda: CifarNet(20, "A", placement="here"),
    lambda: CifarNet(20, "A", block="thick"),
    lambda: CifarNet(20, "A", pool="max"),
    lambda: CifarNet(20, "A", stride_in="third"),
    lambda: CifarNet(20, "A", init="zero"),
]


@pytest.mark.parametrize("check", CHECKS)
def test_an_unknown_choice_is_refused_with_the_right_ones(check: Callable[[], object]) -> None:
    with pytest.raises(ValueError, match="choose one of"):
        check()
