"""Batch norm, addition and ReLU in one operation, and convolutions: values and gradients are those of torch's own."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from samples import batch, can_compile, started, tiny_config, tiny_dataset
from torch import Tensor, nn
from torch.nn import functional as F

from resnet_lib.errors import UserError
from resnet_lib.nets.blocks import BLOCKS, SHORTCUTS, ZeroPadShortcut
from resnet_lib.nets.models import CifarNet, initialize
from resnet_lib.training import fused
from resnet_lib.training.fused import can_fuse, fuse
from resnet_lib.training.hardware import Hardware
from resnet_lib.training.loop import TimeLimitReached, train

CPU = torch.device("cpu")
pytestmark = pytest.mark.skipif(
    not can_compile(), reason="nothing is fused for this processor or system, or no compiler is here"
)


# The operation.


class After(nn.Module):
    """What a block does after a convolution, with what comes back from one user of it or from several."""

    def __init__(self, channels: int, relu: bool, users: int, adds: bool = True) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(channels)
        self.relu, self.users, self.adds = relu, users, adds
        with torch.no_grad():
            self.norm.weight.copy_(torch.linspace(-1, 2, channels))
            self.norm.bias.copy_(torch.linspace(1, -1, channels))

    def forward(self, x: Tensor, shortcut: Tensor) -> Tensor:
        y = self.norm(x)
        y = y + shortcut if self.adds else y
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
        gradients = [leaf.grad for leaf in leaves if leaf.grad is not None] + [
            parameter.grad.clone() for parameter in net.parameters()
        ]
        results.append([out.detach(), *gradients, *(buffer.clone() for buffer in net.buffers())])
    found, exact = results
    return exact, found


def images(channels: int, mean: float = 0.0, size: tuple[int, int, int] = (8, 5, 7), seed: int = 0) -> Tensor:
    """Random (N, C, H, W) with channels last."""
    generator = torch.Generator().manual_seed(seed)
    count, height, width = size
    numbers = mean + torch.randn(count, channels, height, width, generator=generator)
    return numbers.contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("users", [1, 2, 3])
@pytest.mark.parametrize("adds", [True, False])
@pytest.mark.parametrize("relu", [True, False])
@pytest.mark.parametrize("channels", [16, 64, 128])
def test_as_in_double_precision(channels: int, relu: bool, adds: bool, users: int) -> None:
    net, size = After(channels, relu, users, adds), (8, 4, 4)
    exact, found = both_ways(net, images(channels, 0.5, size), images(channels, 0, size, seed=1))
    assert len(exact) == len(found) == 1 + (1 + adds) + 2 + 3
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


def test_the_variance_of_many_rows_is_right_to_the_last_digit_or_two() -> None:
    x = images(64, 2.0, (64, 32, 32))
    exact, found = both_ways(After(64, relu=False, users=1), x, torch.zeros_like(x))
    torch.testing.assert_close(found[-2].double(), exact[-2], rtol=1e-7, atol=0)


@pytest.mark.parametrize("users", [1, 2])
@pytest.mark.parametrize("adds", [True, False])
def test_gradients_in_bf16(adds: bool, users: int) -> None:
    """Those of the numbers that bf16 holds, up to its rounding of what comes in and goes out."""
    net = After(32, relu=True, users=users, adds=adds)
    x, shortcut = (images(32, 0.3, (16, 8, 8), seed).bfloat16().float() for seed in (0, 1))
    exact, _ = both_ways(net, x, shortcut)
    leaves = [leaf.bfloat16().requires_grad_() for leaf in (x, shortcut)]
    out = fuse(net.float())(*leaves)
    out.backward(torch.linspace(-1, 1, out.numel()).view_as(out).bfloat16())
    for leaf, expected in zip(leaves[: 1 + adds], exact[1:], strict=False):
        assert (leaf.grad.double() - expected).norm() < 0.02 * expected.norm()


def sums(net: nn.Module, x: Tensor, addend: Callable[[Tensor], object]) -> Tensor:
    """What becomes of an addition that is none of two tensors of one shape."""

    class Sum(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.norm = net

        def forward(self, x: Tensor, other: Tensor) -> Tensor:
            y = self.norm(x)
            return F.relu(addend(y, other))

    other = torch.linspace(-1, 1, x.shape[1]).view(1, -1, 1, 1)
    return fuse(Sum())(x, other) - Sum()(x, other)


@pytest.mark.parametrize(
    "addend",
    [lambda y, _: y + y, lambda y, _: y + 1, lambda y, _: 1 + y, lambda y, z: y + z, lambda y, z: z + y],
    ids=["itself", "a number", "to a number", "one value for each channel", "to one value for each channel"],
)
def test_other_sums(addend: Callable[[Tensor, Tensor], Tensor]) -> None:
    x = images(16)
    assert sums(nn.BatchNorm2d(16), x, addend).abs().max() < 1e-5


def test_tensors_of_unlike_shapes_are_refused() -> None:
    x, weight = images(16), torch.ones(16)
    fuse(CifarNet(8, "A"))  # so that the operation is there
    with pytest.raises(RuntimeError, match="unlike shapes or types"):
        torch.ops.resnet_lib.normalise(x, x[:1], weight, weight, weight.clone(), weight.clone(), 0.1, 1e-5, True)


def operations(net: nn.Module) -> list[str]:
    return [type(net.get_submodule(node.target)).__name__ for node in net.graph.nodes if node.op == "call_module"]


# Winograd's convolutions.


def convolved(x: Tensor, weight: Tensor, arriving: Tensor) -> list[Tensor]:
    """The convolution, and the gradients of its input and of its kernels, by `winograd.h`."""
    fuse(CifarNet(8, "A"))  # so that the operation is there
    ops = torch.ops.resnet_lib
    return [ops.convolution(x, weight), *ops.convolution_backward(arriving, x, weight)]


def exactly(x: Tensor, weight: Tensor, arriving: Tensor) -> list[Tensor]:
    """The same by torch, in double precision."""
    leaves = [x.double().requires_grad_(), weight.double().requires_grad_()]
    out = F.conv2d(*leaves, padding=1)
    return [out.detach(), *torch.autograd.grad(out, leaves, arriving.double())]


def kernels(inputs: int, outputs: int) -> Tensor:
    weight = torch.randn(outputs, inputs, 3, 3, generator=torch.Generator().manual_seed(2)) / (3 * inputs**0.5)
    return weight.contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize(("inputs", "outputs"), [(16, 16), (64, 64), (16, 48), (80, 32), (128, 128)])
@pytest.mark.parametrize("size", [(1, 4, 4), (3, 8, 12), (7, 16, 16), (40, 12, 8)])
def test_convolutions_are_as_in_double_precision(inputs: int, outputs: int, size: tuple[int, int, int]) -> None:
    """For tiles in any number, also such as fill no block and no product."""
    given = images(inputs, 0.5, size), kernels(inputs, outputs), images(outputs, 0.2, size, seed=1)
    for exact, found in zip(exactly(*given), convolved(*given), strict=True):
        assert found.shape == exact.shape
        assert (found - exact).norm() < 1e-5 * exact.norm()
        assert (found - exact).abs().max() < 1e-4 * exact.abs().max()


def test_one_number_reaches_the_pixels_around_it_alone() -> None:
    """Also over a tile's border, and never from one image into the next."""
    x, weight = torch.zeros(2, 16, 8, 8).contiguous(memory_format=torch.channels_last), kernels(16, 16)
    for row, column in ((0, 0), (3, 4), (7, 7)):
        one = x.clone(memory_format=torch.preserve_format)
        one[0, 5, row, column] = 1
        found = convolved(one, weight, torch.zeros_like(x))[0]
        for i in range(8):
            for j in range(8):
                near = abs(i - row) <= 1 and abs(j - column) <= 1
                expected = weight[:, 5, row - i + 1, column - j + 1] if near else torch.zeros(16)
                torch.testing.assert_close(found[0, :, i, j], expected, rtol=0, atol=1e-6)
        assert found[1].abs().max() == 0


def test_the_number_of_threads_does_not_matter_to_convolutions() -> None:
    results = []
    try:
        for threads in (1, 2, 3):
            torch.set_num_threads(threads)
            results.append(convolved(images(32, 0, (40, 16, 16)), kernels(32, 32), images(32, 0, (40, 16, 16), 1)))
    finally:
        torch.set_num_threads(1)
    for one, *others in zip(*results, strict=True):
        assert all(torch.equal(one, other) for other in others)


@pytest.mark.parametrize(
    ("x", "weight", "message"),
    [
        (images(16, size=(1, 6, 8)), kernels(16, 16), "unsupported shape"),
        (images(24, size=(1, 8, 8)), kernels(24, 24), "unsupported shape"),
        (images(16, size=(1, 8, 8)), kernels(32, 16), "unlike shapes"),
        (images(16, size=(1, 8, 8)).double(), kernels(16, 16), "fp32 is asked for"),
        (images(16, size=(2, 8, 8)).contiguous(), kernels(16, 16), "channels last is asked for"),
    ],
    ids=["sides", "channels", "kernels", "type", "layout"],
)
def test_what_cannot_be_convolved_so_is_refused(x: Tensor, weight: Tensor, message: str) -> None:
    fuse(CifarNet(8, "A"))
    with pytest.raises(RuntimeError, match=message):
        torch.ops.resnet_lib.convolution(x, weight)


def test_a_gradient_of_another_shape_is_refused() -> None:
    with pytest.raises(RuntimeError, match="unlike shapes"):
        convolved(images(16, size=(2, 8, 8)), kernels(16, 16), images(16, size=(2, 8, 4)))


@pytest.mark.parametrize(
    ("conv", "takes"),
    [
        (nn.Conv2d(16, 32, 3, padding=1, bias=False), True),
        (nn.Conv2d(16, 32, 3, padding=1), False),
        (nn.Conv2d(16, 32, 3, bias=False), False),
        (nn.Conv2d(16, 32, 3, stride=2, padding=1, bias=False), False),
        (nn.Conv2d(16, 32, 1, bias=False), False),
        (nn.Conv2d(16, 32, 3, padding=2, dilation=2, bias=False), False),
        (nn.Conv2d(16, 32, 3, padding=1, groups=2, bias=False), False),
        (nn.Conv2d(16, 32, 3, padding=1, bias=False, padding_mode="circular"), False),
        (nn.Conv2d(3, 32, 3, padding=1, bias=False), False),
        (nn.Conv2d(64, 256, 3, padding=1, bias=False), False),
    ],
    ids=["3x3", "bias", "no padding", "stride", "1x1", "dilation", "groups", "circular", "colours", "too many"],
)
def test_which_convolutions_are_winograds(conv: nn.Conv2d, takes: bool) -> None:
    net = nn.Sequential(conv, nn.BatchNorm2d(conv.out_channels))
    assert ("_Convolution" in operations(fuse(net))) == takes
    x = images(conv.in_channels, size=(2, 8, 8))
    torch.testing.assert_close(fuse(net)(x), net(x), rtol=1e-4, atol=1e-4)


def convolves(net: nn.Module, x: Tensor, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Whether a net comes to Winograd's convolution with these numbers."""
    calls = []
    usual = fused._ConvolutionFunction.apply
    with monkeypatch.context() as patch:
        patch.setattr(fused._ConvolutionFunction, "apply", lambda *given: calls.append(given) or usual(*given))
        fuse(net)(x)
    return bool(calls)


def test_sides_that_make_no_tiles_and_bf16_go_the_usual_way(monkeypatch: pytest.MonkeyPatch) -> None:
    net = nn.Sequential(nn.Conv2d(16, 16, 3, padding=1, bias=False), nn.BatchNorm2d(16))
    assert convolves(net, images(16, size=(2, 8, 8)), monkeypatch)
    assert not convolves(net, images(16, size=(2, 8, 6)), monkeypatch)
    with Hardware(CPU, "bf16", compiled=True).autocast():
        assert not convolves(net, images(16, size=(2, 8, 8)), monkeypatch)


# Nets.


def gradients(net: nn.Module, step_net: nn.Module) -> Tensor:
    inputs, labels = batch()
    net.zero_grad()
    F.cross_entropy(step_net(inputs.contiguous(memory_format=torch.channels_last)), labels).backward()
    return torch.cat([parameter.grad.flatten() for parameter in net.parameters()]).clone()


@pytest.mark.parametrize("shortcut", SHORTCUTS)
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


def test_nothing_is_left_of_what_is_fused() -> None:
    """A net of 8 layers has one operation after each of its 7 convolutions, and nothing is added or rectified apart."""
    net = fuse(started("A"))
    found = operations(net)
    assert found.count("_Norm") == 7
    assert found.count("_Convolution") == 4 and found.count("Conv2d") == 3  # that of images, and two with stride 2
    assert found.count("_ZeroPad") == 2
    assert not {"BatchNorm2d", ZeroPadShortcut.__name__} & set(found)
    functions = [node.target for node in net.graph.nodes if node.op == "call_function"]
    assert not {F.relu, torch.relu} & set(functions)
    assert not any(getattr(function, "__name__", "") == "add" for function in functions)


@pytest.mark.parametrize("shortcut", SHORTCUTS)
def test_sums_are_of_the_type_that_they_have_apart(shortcut: str) -> None:
    """Of bf16, but for a gated net, whose gate has a bias in fp32."""
    net, hardware = started(shortcut).to(memory_format=torch.channels_last), Hardware(CPU, "bf16", compiled=True)
    seen: list[torch.dtype] = []
    for step_net in (net, fuse(net)):
        hook = net.layer3[0].conv1.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].dtype))
        with hardware.autocast():
            step_net(batch()[0])
        hook.remove()
    assert len(set(seen)) == 1 and len(seen) == 2
    assert seen[0] == (torch.float32 if shortcut == "gated" else torch.bfloat16)


def test_the_net_itself_is_left_as_it_is() -> None:
    net = started("A")
    before = list(net.state_dict()), [name for name, _ in net.named_modules()]
    fuse(net)
    assert (list(net.state_dict()), [name for name, _ in net.named_modules()]) == before


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
    assert fast.train_curve.loss[0] == pytest.approx(usual.train_curve.loss[0], rel=1e-3)


def test_fused_runs_go_on_bit_for_bit(tmp_path: Path) -> None:
    """In one go, and stopped after each iteration that ends with a point of the curve."""
    hardware = Hardware(CPU, "fp32", compiled=True)
    whole, net = train(tiny_config(), tiny_dataset(), hardware)
    stops = 0
    while True:
        try:
            record, other = train(tiny_config(), tiny_dataset(), hardware, checkpoint=tmp_path / "c", time_limit=1e-9)
        except TimeLimitReached:
            stops += 1
        else:
            break
    assert stops > 5
    assert record.train_curve == whole.train_curve
    for a, b in zip(net.state_dict().values(), other.state_dict().values(), strict=True):
        assert torch.equal(a, b)


# The compiler.


def test_a_compiler_that_fails_is_one_line_and_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fused, "SOURCE", tmp_path / "broken.cpp")
    (tmp_path / "broken.cpp").write_text("int main( {")
    with pytest.raises(UserError, match=r"^the compiler \S+ failed \(.*broken.cpp:1:.* error: .*\); name another one"):
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


def test_a_library_that_cannot_be_loaded_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fused, "_run", lambda command: Path(command[-1]).write_bytes(b"cut short"))
    with pytest.raises(
        UserError, match=r"^cannot load \S+fused-\w+.so \(.*too short.*\); delete it, or set RESNET_LIB"
    ):
        fused._compile.__wrapped__()


def test_who_waits_too_long_for_another_compiler_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fused, "PATIENCE", 0.0)
    monkeypatch.setattr(fused, "_run", lambda command: fused._compile.__wrapped__())
    with pytest.raises(UserError, match=r"^fused-\w+ is being compiled by another process; wait for it or stop it"):
        fused._compile.__wrapped__()
