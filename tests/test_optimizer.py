"""The recipe is the paper's, and the optimiser does what it says."""

import pytest
import torch
from torch import Tensor, nn

from resnet_lib.nets.build import build
from resnet_lib.runs.config import changed
from resnet_lib.runs.experiments import SUITES
from resnet_lib.runs.paper import paper
from resnet_lib.runs.profiles import PAPER_RECIPE, PROFILES
from resnet_lib.runs.settings import resnet
from resnet_lib.training.optimizer import lr_at, make_optimizer, set_lr

RATES = (0.1, 0.1, 0.1, 0.01, 0.01, 0.002, 0.002)


# The recipe and its learning rates.


def test_the_papers_recipe_is_the_one_of_section_4_2() -> None:
    published = paper()["paper"]["cifar_recipe"]["optim"]
    recipe = PAPER_RECIPE
    assert recipe.optimizer == "sgd"
    assert {
        "batch": recipe.batch_size,
        "lr": recipe.lr,
        "div10_at": list(recipe.milestones),
        "stop": recipe.iterations,
        "momentum": recipe.momentum,
        "weight_decay": recipe.weight_decay,
    } == {key: published[key] for key in published if key != "gpus"}
    assert recipe.crop_padding == 4


def test_learning_rate_is_divided_by_ten_from_each_milestone_on() -> None:
    lrs = {iteration: lr_at(PAPER_RECIPE, iteration) for iteration in (0, 31_999, 32_000, 47_999, 48_000, 63_999)}
    assert lrs == pytest.approx({0: 0.1, 31_999: 0.1, 32_000: 0.01, 47_999: 0.01, 48_000: 0.001, 63_999: 0.001})


def test_110_layers_are_warmed_up_for_400_iterations_and_shallower_nets_are_not() -> None:
    recipe = resnet(110).at(PROFILES["paper"], seed=0).recipe
    lrs = [lr_at(recipe, iteration) for iteration in (0, 399, 400, 31_999, 32_000)]
    assert lrs == pytest.approx([0.01, 0.01, 0.1, 0.1, 0.01])
    assert resnet(56).at(PROFILES["paper"], seed=0).recipe == PAPER_RECIPE


def test_three_times_the_iterations_means_three_times_the_milestones() -> None:
    for config in SUITES["longer-training"].runs(PROFILES["paper"]):
        assert config.recipe == changed(PAPER_RECIPE, iterations=192_000, milestones=(96_000, 144_000))


# What is decayed.


@pytest.mark.parametrize("optimizer", ["sgd", "adam", "rmsprop"])
def test_weights_of_layers_are_decayed_and_biases_and_batch_norms_are_not(optimizer: str) -> None:
    net = build(resnet(8, "B").net)
    decayed, others = make_optimizer(net, changed(PAPER_RECIPE, optimizer=optimizer)).param_groups
    assert decayed["weight_decay"] == 1e-4
    assert others["weight_decay"] == 0
    layers = [m for m in net.modules() if isinstance(m, nn.Conv2d | nn.Linear)]
    assert {id(p) for p in decayed["params"]} == {id(layer.weight) for layer in layers}
    assert len(decayed["params"]) + len(others["params"]) == len(list(net.parameters()))


@pytest.mark.parametrize("optimizer", ["sgd", "adam", "rmsprop"])
@pytest.mark.parametrize("length", [0.5, 40.0])
def test_gradients_of_all_weights_together_are_cut_to_the_norm_of_the_recipe(optimizer: str, length: float) -> None:
    net = build(resnet(8).net)
    weights = list(net.parameters())
    for weight in weights:
        weight.grad = torch.ones_like(weight) * length / sum(w.numel() for w in weights) ** 0.5
    make_optimizer(net, changed(PAPER_RECIPE, optimizer=optimizer, clip_norm=2.0)).step()
    norm = torch.cat([weight.grad.flatten() for weight in weights]).norm().item()
    assert norm == pytest.approx(min(length, 2.0), rel=1e-4)


# The forms of momentum.


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
