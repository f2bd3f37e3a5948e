"""How weights are moved: the learning rate of each iteration, and the optimiser of a recipe (section 4.2)."""

import torch
from torch import nn

from resnet_lib.runs.config import Recipe


def lr_at(recipe: Recipe, iteration: int) -> float:
    """The learning rate of an iteration, counted from 0."""
    if iteration < recipe.warmup_iterations:
        return recipe.warmup_lr
    return recipe.lr * 0.1 ** sum(iteration >= milestone for milestone in recipe.milestones)


def make_optimizer(net: nn.Module, recipe: Recipe) -> torch.optim.Optimizer:
    """Decays convolution and fully connected weights, and neither biases nor batch norm (unless `decayed` says all).

    The paper does not say; see the README of fb.resnet.torch and section 5.1 of Goyal et al. (2017). If the recipe has
    a `clip_norm`, gradients are cut to it before each step.
    """
    optimizer = _optimizer(net, recipe)
    if recipe.clip_norm is not None:

        def clip(*_: object) -> None:
            nn.utils.clip_grad_norm_(net.parameters(), recipe.clip_norm)

        optimizer.register_step_pre_hook(clip)
    return optimizer


def _optimizer(net: nn.Module, recipe: Recipe) -> torch.optim.Optimizer:
    weights = [p for p in net.parameters() if p.dim() > 1]
    others = [p for p in net.parameters() if p.dim() <= 1]
    groups = [
        {"params": weights, "weight_decay": recipe.weight_decay},
        {"params": others, "weight_decay": recipe.weight_decay if recipe.decayed == "all" else 0.0},
    ]
    lr, momentum = recipe.lr, recipe.momentum
    match recipe.optimizer:
        case "sgd":
            return torch.optim.SGD(groups, lr, momentum, fused=True)
        case "adam":
            return torch.optim.Adam(groups, lr, betas=(momentum, 0.999), fused=True)
        case "rmsprop":
            return torch.optim.RMSprop(groups, lr, momentum=momentum)


def set_lr(optimizer: torch.optim.Optimizer, lr: float, momentum_form: str) -> None:
    """Gives all weights this learning rate for the next step.

    torch keeps a velocity v <- m v + g and steps by lr v, so a smaller lr shortens the next step at once. In Caffe's
    form, which the authors used, the velocity holds lr, V <- m V + lr g, and old gradients keep the lr they came with.
    The two differ only after a change of lr, and rescaling v by old lr / new lr turns the one into the other.
    """
    for group in optimizer.param_groups:
        if momentum_form == "caffe" and group["lr"] != lr:
            for parameter in group["params"]:
                if (velocity := optimizer.state[parameter].get("momentum_buffer")) is not None:
                    velocity.mul_(group["lr"] / lr)
        group["lr"] = lr
