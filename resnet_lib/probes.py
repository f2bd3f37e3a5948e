"""What is measured on a trained net: responses and gradient norms per layer."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F


def conv3x3_layers(net: nn.Module) -> list[tuple[str, nn.Conv2d, nn.Module]]:
    """The 3x3 convolutions in order of depth, each with its name and the batch norm that follows it.

    In these nets `convK` is followed by `bnK` of the same block, which is the identity in nets without batch norm.
    """
    return [
        (name, module, net.get_submodule(name.replace("conv", "bn")))
        for name, module in net.named_modules()
        if isinstance(module, nn.Conv2d) and module.kernel_size == (3, 3)
    ]


@torch.no_grad()
def response_std(net: nn.Module, images: Tensor) -> list[float]:
    """Standard deviation of each 3x3 layer's response over all images, channels and positions (Figure 7).

    A response is the output after batch norm, before ReLU or addition; batch norm uses its running statistics.

    Args:
        images: float (N, C, H, W), normalised as for training.
    """
    deviations: list[float] = []
    layers = conv3x3_layers(net)
    hooks = [bn.register_forward_hook(lambda _m, _i, out: deviations.append(out.std().item())) for _, _, bn in layers]
    was_training = net.training
    try:
        net.eval()(images)
    finally:
        net.train(was_training)
        for hook in hooks:
            hook.remove()
    return deviations


def gradient_norms(net: nn.Module, images: Tensor, labels: Tensor) -> list[float]:
    """Euclidean norm of the mean loss's gradient for the weights of each 3x3 layer (section 4.1).

    Batch norm uses the batch's statistics, as in training; the running statistics are left as they were.

    Args:
        images: float (N, C, H, W), normalised as for training.
        labels: int64 (N,).
    """
    layers = conv3x3_layers(net)
    batch_norms = [module for module in net.modules() if isinstance(module, nn.BatchNorm2d)]
    saved = [(bn, bn.momentum, bn.num_batches_tracked.clone()) for bn in batch_norms]
    was_training = net.training
    try:
        for bn in batch_norms:
            bn.momentum = 0.0
        loss = F.cross_entropy(net.train()(images), labels)
        gradients = torch.autograd.grad(loss, [conv.weight for _, conv, _ in layers])
    finally:
        net.train(was_training)
        for bn, momentum, num_batches in saved:
            bn.momentum = momentum
            bn.num_batches_tracked.copy_(num_batches)
    return [gradient.norm().item() for gradient in gradients]
