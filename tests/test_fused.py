"""Batch norm, addition and ReLU in one operation: the same values and gradients as by torch's separate ones."""

from pathlib import Path

import pytest
import torch
from samples import batch, started, tiny_config, tiny_dataset
from torch import Tensor, nn
from torch.nn import functional as F

from resnet_lib.errors import UserError
from resnet_lib.nets.models import BLOCKS, CifarNet, ZeroPadShortcut, initialize
from resnet_lib.training import fused
from resnet_lib.training.fused import can_fuse, fuse
from resnet_lib.training.hardware import Hardware
from resnet_lib.training.loop import train

CPU = torch.device("cpu")
pytestmark = pytest.mark.skipif(
    torch.backends.cpu.get_cpu_capability() not in fused.VECTORS, reason="a processor that nothing is fused for"
)


# The operation.


class After(nn.Module):
    """What a block does after a convolution, with what comes back from two users of it or from one."""

    def __init__(self, channels: int, relu: bool, users: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(channels)
        self.relu, self.users = relu, users
        with torch.no_grad():
            self.norm.weight.copy_(torch.linspace(-1, 2, channels))
            self.norm.bias.copy_(torch.linspace(1, -1, channels))

    def forward(self, x: Tensor, shortcut: Tensor) -> Tensor:
        y = self.norm(x) + shortcut
        y = F.relu(y) if self.relu else y
        return torch.cat([y * (1 + user) for user in range(self.users)])


def both_ways(net: nn.Module, *inputs: Tensor) -> tuple[list[Tensor], list[Tensor]]:
    """Output, gradients and buffers of a net in double precision, and of the same net, fused, in single precision."""
    results = []
    for makes, numbers in ((fuse, inputs), (nn.Module.double, [x.double() for x in inputs])):
        leaves = [x.clone(memory_format=torch.preserve_format).requires_grad_() for x in numbers]
        net.zero_grad()
        for module in net.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.reset_running_stats()
        out = makes(net)(*leaves)
        out.backward(torch.linspace(-1, 1, out.numel(), dtype=out.dtype).view_as(out))
        gradients = [leaf.grad for leaf in leaves] + [parameter.grad.clone() for parameter in net.parameters()]
        results.append([out.detach(), *gradients, *(buffer.clone() for buffer in net.buffers())])
    found, exact = results
    return exact, found


def images(channels: int, mean: float = 0.0, size: tuple[int, int, int] = (6, 5, 7), seed: int = 0) -> Tensor:
    """Random (N, C, H, W) with channels last."""
    generator = torch.Generator().manual_seed(seed)
    count, height, width = size
    numbers = mean + torch.randn(count, channels, height, width, generator=generator)
    return numbers.contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("users", [1, 2, 3])
@pytest.mark.parametrize("relu", [True, False])
@pytest.mark.parametrize("channels", [16, 64, 128])
def test_as_in_double_precision(channels: int, relu: bool, users: int) -> None:
    net, size = After(channels, relu, users), (8, 4, 4)
    exact, found = both_ways(net, images(channels, 0.5, size), images(channels, 0, size, seed=1))
    assert len(exact) == len(found) == 1 + 2 + 2 + 3
    for one, other in zip(exact, found, strict=True):
        torch.testing.assert_close(other.double(), one.double(), rtol=1e-4, atol=1e-4)


def test_a_large_mean_does_not_drown_the_variance() -> None:
    x = images(16, 3000.0, size=(8, 8, 8))
    exact, found = both_ways(After(16, relu=False, users=1), x, torch.zeros_like(x))
    torch.testing.assert_close(found[0].double(), exact[0], rtol=0, atol=0.02)
    torch.testing.assert_close(found[-2].double(), exact[-2], rtol=1e-3, atol=0)
    assert abs(x.square().mean() - x.mean().square() - 1) > 0.02  # what sums of squares in fp32 would make of it


def test_bf16_is_rounded_once() -> None:
    """Off by no more than half a step of bf16, which has eight significant bits, from what the numbers exactly give."""
    net = After(32, relu=True, users=1)
    rough = [images(32, 0, (8, 8, 8), seed).bfloat16() for seed in (0, 1)]
    found = fuse(net)(*rough)
    exact = net.double()(*(number.double() for number in rough))
    assert found.dtype == torch.bfloat16
    assert torch.all((found.double() - exact).abs() <= exact.abs() * 2.0**-8 + 1e-6)


def test_the_number_of_threads_does_not_matter() -> None:
    x, shortcut = images(16, 0, (40, 16, 16)), images(16, 0, (40, 16, 16), 1)  # more than one piece of rows
    results = []
    try:
        for threads in (1, 2):
            torch.set_num_threads(threads)
            results.append(both_ways(After(16, relu=True, users=2), x, shortcut)[1])
    finally:
        torch.set_num_threads(1)
    assert all(torch.equal(one, other) for one, other in zip(*results, strict=True))


def test_pieces_of_rows_come_together() -> None:
    """More rows than are summed in fp32 at a time, and not a multiple of them."""
    size = (21, 23, 31)
    exact, found = both_ways(After(64, relu=True, users=2), images(64, 0.5, size), images(64, 0, size, seed=1))
    for one, other in zip(exact, found, strict=True):
        torch.testing.assert_close(other.double(), one.double(), rtol=1e-3, atol=1e-3)


# Nets.


def gradients(net: nn.Module, step_net: nn.Module) -> Tensor:
    inputs, labels = batch()
    net.zero_grad()
    F.cross_entropy(step_net(inputs.contiguous(memory_format=torch.channels_last)), labels).backward()
    return torch.cat([parameter.grad.flatten() for parameter in net.parameters()]).clone()


@pytest.mark.parametrize("shortcut", ["none", "A", "B", "C", "scaled", "gated"])
def test_nets_keep_their_gradients(shortcut: str) -> None:
    net = started(shortcut).to(memory_format=torch.channels_last)
    plain, found = gradients(net, net), gradients(net, fuse(net))
    assert (found - plain).norm() < 0.02 * plain.norm()  # a few of many ReLUs close otherwise


@pytest.mark.parametrize("block", [kind for kind in BLOCKS if kind != "basic"])
def test_blocks_keep_their_gradients(block: str) -> None:
    net = CifarNet({"bottleneck": 11}.get(block, 8), "B", block=block, in_channels=1)
    initialize(net, 0)
    net.to(memory_format=torch.channels_last)
    plain, found = gradients(net, net), gradients(net, fuse(net))
    assert (found - plain).norm() < 0.02 * plain.norm()


def operations(net: nn.Module) -> list[str]:
    return [type(net.get_submodule(node.target)).__name__ for node in net.graph.nodes if node.op == "call_module"]


def test_nothing_is_left_of_what_is_fused() -> None:
    """A net of 8 layers has one operation after each of its 7 convolutions, and nothing is added or rectified apart."""
    net = fuse(started("A"))
    found = operations(net)
    assert found.count("_Norm") == found.count("Conv2d") == 7
    assert found.count("_ZeroPad") == 2
    assert not {"BatchNorm2d", ZeroPadShortcut.__name__} & set(found)
    functions = [node.target for node in net.graph.nodes if node.op == "call_function"]
    assert not {F.relu, torch.relu} & set(functions)
    assert not any(getattr(function, "__name__", "") == "add" for function in functions)


def test_parameters_and_buffers_are_the_nets_own() -> None:
    net = started("B")
    assert {id(p) for p in fuse(net).parameters()} == {id(p) for p in net.parameters()}
    assert {id(b) for b in fuse(net).buffers()} == {id(b) for b in net.buffers()}


@pytest.mark.parametrize(
    "net",
    [CifarNet(8, "A", width=24), CifarNet(8, "A", batch_norm=False), nn.Linear(3, 3)],
    ids=["24 channels", "no batch norm", "no convolution"],
)
def test_what_is_not_fused(net: nn.Module) -> None:
    assert can_fuse(CifarNet(8, "A"))
    assert not can_fuse(net)


def test_other_processors_go_without(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "VSX")
    assert not can_fuse(CifarNet(8, "A"))


# Training.


def test_training_takes_the_fused_net(monkeypatch: pytest.MonkeyPatch) -> None:
    fused_nets = []
    monkeypatch.setattr("resnet_lib.training.loop.fuse", lambda net: fused_nets.append(net) or fuse(net))
    (fast, net), (usual, _) = (
        train(tiny_config(), tiny_dataset(), Hardware(CPU, "fp32", compiled=compiled)) for compiled in (True, False)
    )
    assert fused_nets == [net]
    assert fast.provenance.compiled and not usual.provenance.compiled
    losses = zip(fast.train_curve.loss, usual.train_curve.loss, strict=True)
    assert [one for one, _ in losses][:1] == pytest.approx(usual.train_curve.loss[:1], rel=1e-3)
    assert fast.final.train_error == pytest.approx(usual.final.train_error, abs=15)


def test_fused_runs_repeat_bit_for_bit() -> None:
    hardware = Hardware(CPU, "fp32", compiled=True)
    (one, first), (other, second) = (train(tiny_config(), tiny_dataset(), hardware) for _ in range(2))
    assert one.train_curve == other.train_curve
    for a, b in zip(first.state_dict().values(), second.state_dict().values(), strict=True):
        assert torch.equal(a, b)


# The compiler.


def test_a_compiler_that_fails_is_one_line_and_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fused, "SOURCE", tmp_path / "broken.cpp")
    (tmp_path / "broken.cpp").write_text("int main( {")
    with pytest.raises(UserError, match=r"^the compiler \S+ failed \(.*broken.cpp:1:.* error: .*\); name a newer one"):
        fused._compile.__wrapped__()
    assert list((tmp_path / "cache").rglob("*.so")) == []


def test_a_compiler_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CXX", "no-such-compiler")
    with pytest.raises(UserError, match=r"^the compiler no-such-compiler cannot be run \(No such file"):
        fused._compile.__wrapped__()


def test_it_is_compiled_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The second process finds the library in the cache."""
    calls, loaded = [], []

    def compiler(command: list[str]) -> None:
        calls.append(command)
        Path(command[-1]).write_bytes(b"a library")

    monkeypatch.setattr(fused, "_run", compiler)
    monkeypatch.setattr(torch.ops, "load_library", loaded.append)
    fused._compile.__wrapped__()
    fused._compile.__wrapped__()
    assert len(calls) == 1
    assert loaded[0] == loaded[1]
    assert loaded[0].read_bytes() == b"a library"
