"""A net on all images of a split: its loss, its error, and batch norm's statistics of them."""

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from resnet_lib.data.batches import RunData
from resnet_lib.nets.probes import as_in_testing
from resnet_lib.training.hardware import Hardware
from resnet_lib.training.memory import forward
from resnet_lib.training.processes import ALONE, Group


class Evaluation(NamedTuple):
    """Mean loss, error in percent, and whether each image of this process's share is right: bool (N,)."""

    loss: float
    error: float
    right: Tensor


@torch.no_grad()
def evaluate(net: nn.Module, dataset: RunData, split: str, hardware: Hardware, group: Group = ALONE) -> Evaluation:
    """Tests a net on all images of a split ("train" or "test"), one view of each; every process on its share."""
    totals = torch.zeros(3, dtype=torch.float64, device=hardware.device)  # loss, errors, images
    right = [torch.zeros(0, dtype=torch.bool, device=hardware.device)]  # a share may be empty
    group.share_statistics(net)
    with as_in_testing(net):
        for images, labels in dataset.views(split, group):
            with hardware.autocast():
                logits = forward(net, images).float()
            right.append(logits.argmax(dim=1) == labels)
            totals[0] += F.cross_entropy(logits, labels, reduction="sum")
            totals[1] += (~right[-1]).sum()
            totals[2] += len(labels)
    loss, errors, count = group.sum(totals).tolist()
    return Evaluation(loss / count, 100 * errors / count, torch.cat(right))


@torch.no_grad()
def reestimate_bn(net: nn.Module, dataset: RunData, hardware: Hardware) -> None:
    """Replaces batch norm's moving statistics by their mean over the training set, as the authors' release does."""
    batch_norms = [module for module in net.modules() if isinstance(module, nn.BatchNorm2d)]
    momenta = [bn.momentum for bn in batch_norms]
    for bn in batch_norms:
        bn.reset_running_stats()
        bn.momentum = None  # a cumulative mean
    was_training = net.training
    net.train()
    for images, _ in dataset.views("train"):
        with hardware.autocast():
            net(images)
    net.train(was_training)
    for bn, momentum in zip(batch_norms, momenta, strict=True):
        bn.momentum = momentum
