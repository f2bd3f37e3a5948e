"""Chapters 11 and 12: what departures do by construction, and what shortcuts do in a transformer."""

from collections.abc import Callable

import pytest
import torch
from samples import tiny_dataset
from torch import Tensor, nn
from torch.nn import functional as F

from resnet_lib.nets import probes
from resnet_lib.nets.models import initialize
from resnet_lib.nets.others import VisionTransformer

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
