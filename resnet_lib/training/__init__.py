"""Training: the loop of section 4.2 and what it needs, ImageNet at full size, testing by the paper's protocols."""

from resnet_lib.nets.build import build
from resnet_lib.training.evaluation import evaluate, reestimate_bn
from resnet_lib.training.hardware import Hardware
from resnet_lib.training.loop import Progress, TimeLimitReached, train
from resnet_lib.training.optimizer import lr_at, make_optimizer, set_lr

__all__ = [
    "Hardware",
    "Progress",
    "TimeLimitReached",
    "build",
    "evaluate",
    "lr_at",
    "make_optimizer",
    "reestimate_bn",
    "set_lr",
    "train",
]
