"""Nets that are not the paper's, for two questions beyond it: a small vision transformer, and fully connected nets."""

import torch
from torch import Tensor, nn

from resnet_lib.nets.models import make_head

WIDTH = 64
HEADS = 4
PATCH = 4  # pixels


class TransformerBlock(nn.Module):
    """Self-attention, then two fully connected layers, each normalised first and each with a shortcut, or without.

    With shortcuts: x + attention(norm(x)), then x + mlp(norm(x)), the usual pre-norm block. Without: the same layers
    and parameters, no additions.
    """

    def __init__(self, shortcut: bool) -> None:
        super().__init__()
        self.shortcut = shortcut
        self.norm1 = nn.LayerNorm(WIDTH)
        self.attention = nn.MultiheadAttention(WIDTH, HEADS, batch_first=True)
        self.norm2 = nn.LayerNorm(WIDTH)
        self.mlp = nn.Sequential(nn.Linear(WIDTH, 2 * WIDTH), nn.GELU(), nn.Linear(2 * WIDTH, WIDTH))

    def forward(self, x: Tensor) -> Tensor:
        """(N, tokens, WIDTH) -> (N, tokens, WIDTH)."""
        y = self.norm1(x)
        y, _ = self.attention(y, y, y, need_weights=False)
        x = x + y if self.shortcut else y
        y = self.mlp(self.norm2(x))
        return x + y if self.shortcut else y


class VisionTransformer(nn.Module):
    """Patches of 4x4 pixels, a learned position each, `depth` blocks of torch's own layers, the mean of all tokens.

    Args:
        depth: number of blocks.
        shortcut: "A" adds the input of each half block to its output (nothing changes shape, so this is the
            identity); "none" does not.
        in_channels, num_classes: as for the other nets.
        image_size: side of the images in pixels, a multiple of 4.

    Raises:
        ValueError: the shortcut is neither, or the image does not divide into patches.
    """

    def __init__(
        self, depth: int, shortcut: str, in_channels: int = 3, num_classes: int = 10, image_size: int = 32
    ) -> None:
        super().__init__()
        if shortcut not in ("none", "A"):
            raise ValueError(f"shortcut is {shortcut!r}; a transformer here has 'A' (the identity) or 'none'")
        if image_size % PATCH:
            raise ValueError(f"image size is {image_size}; it must be a multiple of {PATCH}")
        self.patches = nn.Conv2d(in_channels, WIDTH, PATCH, stride=PATCH)
        self.position = nn.Parameter(torch.zeros(1, (image_size // PATCH) ** 2, WIDTH))
        self.blocks = nn.Sequential(*(TransformerBlock(shortcut == "A") for _ in range(depth)))
        self.norm = nn.LayerNorm(WIDTH)
        self.fc = nn.Linear(WIDTH, num_classes)

    def forward(self, images: Tensor) -> Tensor:
        """Images (N, C, H, W) -> logits (N, num_classes)."""
        tokens = self.patches(images).flatten(2).transpose(1, 2)  # (N, tokens, WIDTH)
        tokens = self.blocks(tokens + self.position)
        return self.fc(self.norm(tokens).mean(dim=1))


class FullyConnected(nn.Module):
    """`depth` fully connected layers with ReLU between them; hidden layers have 64 units. One layer is linear."""

    def __init__(self, depth: int, in_features: int, num_classes: int) -> None:
        super().__init__()
        self.fc = make_head(in_features, (WIDTH,) * (depth - 1), num_classes)

    def forward(self, features: Tensor) -> Tensor:
        """Features (N, F, 1, 1) -> logits (N, num_classes)."""
        return self.fc(features.flatten(1))
