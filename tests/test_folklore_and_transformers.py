"""Chapters 11 and 12: what departures do by construction, their prices, and what shortcuts do in a transformer."""

import copy
import dataclasses
from collections.abc import Callable
from pathlib import Path
from statistics import mean

import pytest
import torch
from samples import made_up_record, tiny_dataset
from torch import Tensor, nn
from torch.nn import functional as F

from resnet_lib.display import NO_RUN
from resnet_lib.evidence.effects import price
from resnet_lib.evidence.rule import interval
from resnet_lib.nets import probes
from resnet_lib.nets.models import CifarNet, initialize
from resnet_lib.nets.others import VisionTransformer
from resnet_lib.runs.experiments import FOLKLORE
from resnet_lib.runs.profiles import PROFILES, Profile
from resnet_lib.runs.records import save_record
from resnet_lib.runs.settings import Setting, resnet
from resnet_lib.runs.store import Records
from resnet_lib.show import figures, tables
from resnet_lib.training.loop import Hardware, evaluate, reestimate_bn, set_lr

SMOKE = PROFILES["smoke"]
CPU = Hardware.choose("cpu", "fp32")
RATES = (0.1, 0.1, 0.1, 0.01, 0.01, 0.002, 0.002)


def path_of(form: str, momentum: float = 0.9, weight_decay: float = 0.05) -> list[Tensor]:
    """A weight after each step of minimising half its square, with the rates above."""
    weight = torch.tensor([3.0, -2.0], dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.SGD([weight], lr=RATES[0], momentum=momentum, weight_decay=weight_decay)
    path = []
    for lr in RATES:
        set_lr(optimizer, lr, form)
        optimizer.zero_grad()
        weight.square().sum().mul(0.5).backward()
        optimizer.step()
        path.append(weight.detach().clone())
    return path


# The forms of momentum.


def test_caffes_form_is_caffes_own_update() -> None:
    weight, velocity, expected = torch.tensor([3.0, -2.0], dtype=torch.float64), torch.zeros(2), []
    for lr in RATES:
        velocity = 0.9 * velocity + lr * (weight + 0.05 * weight)  # Caffe: V <- m V + lr (gradient + decay)
        weight = weight - velocity
        expected.append(weight)
    torch.testing.assert_close(torch.stack(path_of("caffe")), torch.stack(expected))


def test_the_forms_agree_until_the_rate_changes_and_then_caffes_goes_farther() -> None:
    caffe, torchs = torch.stack(path_of("caffe")), torch.stack(path_of("torch"))
    torch.testing.assert_close(caffe[:3], torchs[:3])
    assert ((caffe[3] - caffe[2]).abs() > 5 * (torchs[3] - torchs[2]).abs()).all()


def test_without_momentum_the_forms_are_one() -> None:
    torch.testing.assert_close(torch.stack(path_of("caffe", 0.0)), torch.stack(path_of("torch", 0.0)))


# Batch norm's statistics, estimated again.


def test_reestimated_statistics_are_the_means_over_the_training_set() -> None:
    full = tiny_dataset()
    twice = torch.cat([full.train_images, full.train_images, full.train_images, full.train_images[:232]])  # 1,000
    dataset = dataclasses.replace(full, train_images=twice, train_labels=torch.zeros(1000, dtype=torch.int64))
    net = CifarNet(8, "A", in_channels=1)
    initialize(net, 0)
    net.bn1.running_mean.fill_(7.0)  # what training left behind must not matter
    reestimate_bn(net.eval(), dataset, CPU)

    first, second = (net.conv1(dataset.normalize(part)) for part in twice.split(500))
    means = (first.mean((0, 2, 3)) + second.mean((0, 2, 3))) / 2
    variances = (first.var((0, 2, 3)) + second.var((0, 2, 3))) / 2
    torch.testing.assert_close(net.bn1.running_mean, means, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(net.bn1.running_var, variances, rtol=1e-4, atol=1e-5)


def test_reestimating_leaves_weights_mode_and_momentum_alone() -> None:
    net = CifarNet(8, "B", in_channels=1)
    initialize(net, 0)
    before = copy.deepcopy(net.eval())
    reestimate_bn(net, tiny_dataset(), CPU)
    assert not net.training and net.bn1.momentum == before.bn1.momentum
    assert all(torch.equal(a, b) for a, b in zip(net.parameters(), before.parameters(), strict=True))
    assert not torch.equal(net.bn1.running_mean, before.bn1.running_mean)
    assert evaluate(net, tiny_dataset(), "test", CPU).loss != evaluate(before, tiny_dataset(), "test", CPU).loss


# Prices. Made-up records of five seeds: the recipe wobbles, and a departure adds what the test says.


DEPARTURES = {departure.name: departure for departure in FOLKLORE}  # rows and labels show the names


def priced(folder: Path, added: dict[str, tuple[float, ...]], profile: Profile = SMOKE) -> Records:
    wobble = (10.0, 20.0, 13.0, 11.0, 12.0)
    recipes: dict[Setting, tuple[float, ...]] = {resnet(20): (0.0,) * 5, resnet(20, "B"): (3.0,) * 5}
    for setting, more in (recipes | {DEPARTURES[name]: more for name, more in added.items()}).items():
        for config, error, extra in zip(setting.runs(profile), wobble, more, strict=False):
            save_record(made_up_record(config, test_error=error + extra), folder)
    return Records(folder)


def test_a_price_is_paired_and_gets_its_word(tmp_path: Path) -> None:
    added = {
        "no ReLU after the stem": (1.0, 1.2, 0.8, 1.1, 0.9),
        "fp32": (-1.0, -1.2, -0.8, -1.1, -0.9),
        "nothing subtracted": (2.0, -2.0, 1.0, -1.0, 0.5),
        "channel means subtracted": (1.0, 1.0),
    }
    rows = {row["departure"]: row for row in tables.folklore(SMOKE, priced(tmp_path, added)).to_dict("records")}
    assert list(rows) == [*DEPARTURES, tables.BEST_EPOCH]
    assert rows["no ReLU after the stem"]["verdict"] == "costs"
    assert rows["no ReLU after the stem"]["adds to the test error (points)"] == "+1.00"
    assert rows["no ReLU after the stem"]["95% interval"] == "+0.80 to +1.20"  # 2.776 * 0.1581 / sqrt(5) = 0.196
    assert rows["fp32"]["verdict"] == "gains"
    assert rows["nothing subtracted"]["verdict"] == "makes no difference at this many seeds"
    assert rows["channel means subtracted"]["verdict"] == "a verdict needs 3 seeds"
    assert rows["channel means subtracted"]["seeds"] == 2
    assert rows["momentum in Caffe's form"]["verdict"] == NO_RUN


def test_projections_are_compared_with_option_b(tmp_path: Path) -> None:
    records = priced(tmp_path, {"projections without BN": (4.0, 4.0, 4.0, 4.0, 4.0)})  # B itself adds 3
    assert price(DEPARTURES["projections without BN"]).per_seed(SMOKE, records) == pytest.approx([1.0] * 5)
    compared = dict(tables.folklore(SMOKE, records)[["departure", "compared with"]].itertuples(index=False))
    assert compared.pop("projections without BN") == "ResNet-20 B"
    assert set(compared.values()) == {"ResNet-20 A"}


def test_the_best_epoch_can_only_lower_the_reported_error(tmp_path: Path) -> None:
    for seed, config in enumerate(resnet(20).runs(SMOKE)):
        save_record(made_up_record(config, test_error=12.0, best=12.0 - seed), tmp_path)  # earlier, and lower
    records = Records(tmp_path)
    assert tables.folklore_prices(SMOKE, records)[tables.BEST_EPOCH] == pytest.approx([0, -1, -2, -3, -4])
    (row,) = tables.best_epochs(list(records)).to_dict("records")
    assert (row["last test error (%)"], row["lowest test error (%)"]) == ("12.00", "10.00")
    assert (row["flattered by (points)"], row["seeds"]) == ("2.00", 5)


def test_the_figure_of_prices_shows_means_and_intervals_dearest_first(tmp_path: Path) -> None:
    costly, cheap = (1.0, 1.2, 0.8, 1.1, 0.9), (-2.0, 2.0, -1.0, 1.0, 0.5)
    records = priced(tmp_path, {"nothing subtracted": cheap, "no ReLU after the stem": costly})
    figure = figures.folklore(SMOKE, records)
    (axes,) = figure.axes
    shown = [label.get_text() for label in axes.get_yticklabels()]
    assert shown[:2] == ["no ReLU after the stem", "nothing subtracted"]
    lines = {line.get_label(): line for line in axes.lines}
    assert list(lines["nothing subtracted"].get_xdata()) == pytest.approx(cheap)
    filled = lines["no ReLU after the stem, mean"]
    assert list(filled.get_xdata()) == pytest.approx([mean(costly)])
    assert filled.get_markerfacecolor() != lines["nothing subtracted, mean"].get_markerfacecolor() == "white"
    bars = [tuple(line.get_xdata()) for line in axes.lines if line.get_label().startswith("_child")]
    assert pytest.approx(interval(costly)[1:]) in bars
    assert "1 cost and 0 gain" in figure.get_suptitle()


def test_no_records_give_an_empty_figure_without_a_warning(tmp_path: Path, recwarn: pytest.WarningsRecorder) -> None:
    figures.folklore(SMOKE, Records(tmp_path)).canvas.draw()
    assert not recwarn.list


def test_lines_are_drawn_as_given() -> None:
    figure = figures.lines({"a": [1, 2, 4], "b": [3, 3]}, "step", "rate", "Message", start=1, log=True)
    (axes,) = figure.axes
    drawn = {line.get_label(): list(zip(line.get_xdata(), line.get_ydata(), strict=True)) for line in axes.lines}
    assert drawn == {"a": [(1, 1), (2, 2), (3, 4)], "b": [(1, 3), (2, 3)]}
    assert (axes.get_yscale(), axes.get_title(loc="left")) == ("log", "Message")


# The transformer.


def by_hand(net: VisionTransformer, images: Tensor, shortcut: bool) -> Tensor:
    """The forward pass in plain tensor arithmetic, one head at a time."""
    patches = F.unfold(images, 4, stride=4).transpose(1, 2)  # (N, tokens, pixels of a patch)
    x = patches @ net.patches.weight.flatten(1).T + net.patches.bias + net.position
    for block in net.blocks:
        attention, heads = block.attention, []
        q, k, v = (normalised(block.norm1, x) @ attention.in_proj_weight.T + attention.in_proj_bias).split(64, dim=2)
        for part in (slice(start, start + 16) for start in range(0, 64, 16)):
            scores = q[..., part] @ k[..., part].transpose(1, 2) / 4
            weights = scores.exp() / scores.exp().sum(dim=2, keepdim=True)
            heads.append(weights @ v[..., part])
        y = torch.cat(heads, dim=2) @ attention.out_proj.weight.T + attention.out_proj.bias
        x = x + y if shortcut else y
        y = block.mlp(normalised(block.norm2, x))
        x = x + y if shortcut else y
    return net.fc(normalised(net.norm, x).mean(dim=1))


def normalised(norm: nn.LayerNorm, x: Tensor) -> Tensor:
    centred = x - x.mean(dim=2, keepdim=True)
    return centred / (centred.square().mean(dim=2, keepdim=True) + 1e-5).sqrt() * norm.weight + norm.bias


@pytest.mark.parametrize(("shortcut", "added"), [("A", True), ("none", False)])
@torch.no_grad()
def test_a_transformer_is_what_it_is_by_hand(shortcut: str, added: bool) -> None:
    net = VisionTransformer(3, shortcut, in_channels=2, image_size=8).eval()
    generator = torch.Generator().manual_seed(0)
    for parameter in net.parameters():  # biases, scales and positions too, which start at 0 or 1
        parameter.add_(0.1 * torch.randn(parameter.shape, generator=generator))
    images = torch.randn(5, 2, 8, 8, generator=generator)
    torch.testing.assert_close(net(images), by_hand(net, images, added), rtol=1e-4, atol=1e-5)


def test_with_and_without_shortcuts_a_transformer_starts_from_the_same_weights() -> None:
    nets = [VisionTransformer(2, shortcut, image_size=16) for shortcut in ("A", "none")]
    for net in nets:
        initialize(net, 3)
    (with_shortcuts, without) = (net.state_dict() for net in nets)
    assert with_shortcuts.keys() == without.keys()
    assert all(torch.equal(value, without[name]) for name, value in with_shortcuts.items())


class Tokens(nn.Module):
    """Stands in for a transformer: its input is its tokens, and each block is what the test says."""

    def __init__(self, *blocks: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.blocks = nn.Sequential(*(Applied(block) for block in blocks))

    def forward(self, tokens: Tensor) -> Tensor:
        return self.blocks(tokens)


class Applied(nn.Module):
    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, tokens: Tensor) -> Tensor:
        return self.function(tokens)


def test_similarity_of_constructed_tokens() -> None:
    tokens = torch.eye(4).expand(3, 4, 4) * torch.tensor([1.0, 2.0, 3.0, 4.0])[:, None]  # at right angles
    net = Tokens(lambda x: -5 * x, lambda x: x[:, :1].expand_as(x), lambda x: torch.cat([x[:, :2], -x[:, 2:]], dim=1))
    # Two of four tokens turned round: of the six pairs two stay at 1, four go to -1.
    assert probes.token_similarity(net, tokens) == pytest.approx([0, 0, 1, -1 / 3], abs=1e-6)


def test_similarity_is_the_mean_cosine_over_all_pairs_and_leaves_the_net_as_it_was() -> None:
    net = VisionTransformer(2, "none", in_channels=1, image_size=16).train()
    images = torch.randn(3, 1, 16, 16, generator=torch.Generator().manual_seed(1))
    found = probes.token_similarity(net, images)
    x = net.patches(images).flatten(2).transpose(1, 2) + net.position
    for similarity, block in zip(found, [*net.blocks, None], strict=True):
        pairs = [F.cosine_similarity(x[:, i], x[:, j]) for i in range(16) for j in range(i)]
        assert similarity == pytest.approx(torch.stack(pairs).mean().item(), abs=1e-5)
        x = block(x) if block is not None else x
    assert net.training and not any(module._forward_hooks or module._forward_pre_hooks for module in net.modules())


def test_without_shortcuts_tokens_become_one_and_with_them_they_do_not() -> None:
    dataset = tiny_dataset()
    images = dataset.normalize(dataset.test_images[:50])
    for shortcut in ("A", "none"):
        net = VisionTransformer(6, shortcut, in_channels=1, image_size=16)
        initialize(net, 0)
        last = probes.token_similarity(net, images)[-1]
        assert last < 0.8 if shortcut == "A" else last > 0.99
