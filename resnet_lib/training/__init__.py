"""Training: the loop of section 4.2 and what it needs, ImageNet at full size, testing by the paper's protocols."""

from resnet_lib.training.hardware import Hardware
from resnet_lib.training.loop import (
    Progress,
    TimeLimitReached,
    backward,
    build,
    evaluate,
    lr_at,
    make_optimizer,
    reestimate_bn,
    set_lr,
    told_when_memory_is_short,
    train,
)

__all__ = [
    "Hardware",
    "Progress",
    "TimeLimitReached",
    "backward",
    "build",
    "evaluate",
    "lr_at",
    "make_optimizer",
    "reestimate_bn",
    "set_lr",
    "told_when_memory_is_short",
    "train",
]
