"""A net for training on a CPU in which batch norm, the addition of a shortcut and ReLU are one operation each way.

A processor spends half of the usual step on moving these layers' tensors through memory. `fused.cpp` does it in fewer
passes than separate operations need. One without units for bf16 spends the other half on multiplying, which
`winograd.h` does less of. They are compiled here when they are first used.
"""

import hashlib
import operator
import os
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from resnet_lib.errors import UserError, reason
from resnet_lib.files import cache_dir, locked, remove_litter, staging
from resnet_lib.nets.blocks import ZeroPadShortcut

SOURCE = Path(__file__).with_suffix(".cpp")
HEADER = SOURCE.with_name("winograd.h")
VECTORS = {  # what torch finds in a processor, and how a compiler is told of it
    "AVX2": ("-mavx2", "-mfma", "-mf16c"),
    "AVX512": ("-mavx512f", "-mavx512bw", "-mavx512dq", "-mavx512vl", "-mfma", "-mf16c"),
}
WIDTH = 64  # as in fused.cpp: channels have to divide it, or to be a multiple of it
COLUMNS = 16  # as in winograd.h: of which channels have to be a multiple
MOST_CHANNELS = 128  # of kernels that, transformed, stay in a cache; with 256 Winograd's way was slower
PATIENCE = 300.0  # seconds that a process waits for another one's compiler


def can_fuse(net: nn.Module) -> bool:
    """Whether `fuse` is made for the system and the processor here, and for the widths of the net."""
    widths = [module.num_features for module in net.modules() if isinstance(module, nn.BatchNorm2d)]
    fit = all(WIDTH % width == 0 or width % WIDTH == 0 for width in widths)
    here = sys.platform == "linux" and torch.backends.cpu.get_cpu_capability() in VECTORS
    return here and fit and bool(widths)


def fuse(net: nn.Module) -> nn.Module:
    """The same net for training on a CPU: it has the same parameters and buffers, and takes its steps for it.

    What it gives differs by rounding only. In bf16, normalising and adding a shortcut is rounded once, not twice. In
    fp32, Winograd's convolutions have rounding errors of about 1e-6, a few times those of the usual ones.

    Args:
        net: one that `can_fuse`; other modules put into it later would not be noticed.

    Raises:
        UserError: the compiler fails.
    """
    _compile()
    graph = _Tracer().trace(net)
    fused = fx.GraphModule(net, graph)
    for node in list(graph.nodes):
        module = net.get_submodule(node.target) if node.op == "call_module" else None
        if isinstance(module, ZeroPadShortcut):
            node.target = f"{node.target}_fused"
            fused.add_submodule(node.target, _ZeroPad(module.stride, module.new_channels))
        elif isinstance(module, nn.Conv2d) and _multiplies_less(module):
            node.target = f"{node.target}_fused"
            fused.add_submodule(node.target, _Convolution(module))
        elif isinstance(module, nn.BatchNorm2d):
            _fuse_from(node, module, fused)
    graph.lint()
    fused.recompile()
    return fused


class _Tracer(fx.Tracer):
    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return isinstance(m, ZeroPadShortcut) or super().is_leaf_module(m, module_qualified_name)


def _fuse_from(norm: fx.Node, module: nn.BatchNorm2d, net: fx.GraphModule) -> None:
    """Puts one operation in the place of a batch norm and of an addition and a ReLU that are all that uses it."""
    old, inputs = [norm], [norm.args[0]]
    added = _followed_by(operator.add, norm)
    others = [argument for argument in added.args if argument is not norm] if added else []
    if len(others) == 1 and isinstance(others[0], fx.Node):
        old, inputs = [norm, added], [*inputs, *others]
    if rectified := _followed_by(F.relu, old[-1]):
        old.append(rectified)
    *_, last = old
    first_user, *more_users = last.users
    name = f"{norm.target}_fused"
    net.add_submodule(name, _Norm(module, relu=rectified is not None, twice=bool(more_users)))
    with net.graph.inserting_before(last):
        new = net.graph.call_module(name, tuple(inputs))
        if more_users:
            new, second = (net.graph.call_function(operator.getitem, (new, index)) for index in (0, 1))
            for user in more_users:
                user.replace_input_with(last, second)
    first_user.replace_input_with(last, new)
    for node in reversed(old):
        net.graph.erase_node(node)


def _followed_by(function: object, node: fx.Node) -> fx.Node | None:
    """The call of this function that is all that uses a node, if there is one."""
    user, *others = node.users
    return user if not others and user.op == "call_function" and user.target is function else None


class _Norm(nn.Module):
    """Batch norm of (N, C, H, W), plus a shortcut or not, with ReLU or not; once, or twice for two that use it.

    The gradients that come back from two are added on the way, which else would be an operation of its own.
    """

    def __init__(self, norm: nn.BatchNorm2d, relu: bool, twice: bool) -> None:
        super().__init__()
        self.norm, self.relu, self.twice = norm, relu, twice

    def forward(self, x: Tensor, shortcut: Tensor | None = None) -> Tensor | tuple[Tensor, Tensor]:
        norm = self.norm
        norm.num_batches_tracked.add_(1)
        running = norm.running_mean, norm.running_var, norm.momentum, norm.eps
        if shortcut is not None:  # which may be of fp32 where x is of bf16: the sum then is, too
            dtype = torch.promote_types(x.dtype, shortcut.dtype)
            x, shortcut = x.to(dtype), shortcut.to(dtype).expand_as(x)
        y, again = _NormFunction.apply(x, shortcut, norm.weight, norm.bias, running, self.relu)
        return (y, again) if self.twice else y


class _NormFunction(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, x: Tensor, shortcut: Tensor | None, weight: Tensor, bias: Tensor, running: tuple, relu: bool
    ) -> tuple[Tensor, Tensor]:
        x = _channels_last(x)
        y, *moments = torch.ops.resnet_lib.normalise(x, _channels_last(shortcut), weight, bias, *running, relu)
        ctx.relu, ctx.has_shortcut = relu, shortcut is not None
        ctx.save_for_backward(x, y if relu and ctx.has_shortcut else None, weight, bias, *moments)
        ctx.set_materialize_grads(False)
        return y, y.detach()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *arriving: Tensor | None) -> tuple[Tensor | None, ...]:
        dy, dz = sorted(map(_channels_last, arriving), key=lambda gradient: gradient is None)
        differentiate = torch.ops.resnet_lib.normalise_backward
        return *differentiate(dy, dz, *ctx.saved_tensors, ctx.relu, ctx.has_shortcut), None, None


def _multiplies_less(module: nn.Conv2d) -> bool:
    """Whether `winograd.h` is made for a convolution: 3x3, stride 1, and neither few channels nor many."""
    kind = module.kernel_size, module.stride, module.padding, module.dilation, module.groups, module.padding_mode
    fit = all(n % COLUMNS == 0 and n <= MOST_CHANNELS for n in (module.in_channels, module.out_channels))
    return fit and module.bias is None and kind == ((3, 3), (1, 1), (1, 1), (1, 1), 1, "zeros")


class _Convolution(nn.Module):
    """A 3x3 convolution in fp32 of images whose sides are multiples of 4; of others, or in bf16, the usual one."""

    def __init__(self, usual: nn.Conv2d) -> None:
        super().__init__()
        self.usual = usual

    def forward(self, x: Tensor) -> Tensor:
        tiles = x.shape[2] % 4 == x.shape[3] % 4 == 0
        if tiles and x.dtype == torch.float32 and not torch.is_autocast_enabled("cpu"):
            return _ConvolutionFunction.apply(x, self.usual.weight)
        return self.usual(x)


class _ConvolutionFunction(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor) -> Tensor:
        x = _channels_last(x)
        ctx.save_for_backward(x, weight)
        return torch.ops.resnet_lib.convolution(x, weight)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dy: Tensor) -> tuple[Tensor, Tensor]:
        return torch.ops.resnet_lib.convolution_backward(_channels_last(dy), *ctx.saved_tensors)


class _ZeroPad(nn.Module):
    """`ZeroPadShortcut` whose gradient is made at once, with channels last: that of a slice is not."""

    def __init__(self, stride: int, new_channels: int) -> None:
        super().__init__()
        self.stride, self.new_channels = stride, new_channels

    def forward(self, x: Tensor) -> Tensor:
        return _ZeroPadFunction.apply(x, self.stride, self.new_channels)


class _ZeroPadFunction(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, stride: int, new_channels: int) -> Tensor:
        ctx.shape, ctx.stride = x.shape, stride
        return F.pad(x[:, :, ::stride, ::stride], (0, 0, 0, 0, 0, new_channels))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dy: Tensor) -> tuple[Tensor, None, None]:
        dx = torch.empty(ctx.shape, dtype=dy.dtype, memory_format=torch.channels_last).zero_()
        dx[:, :, :: ctx.stride, :: ctx.stride] = dy[:, : ctx.shape[1]]
        return dx, None, None


def _channels_last(x: Tensor | None) -> Tensor | None:
    return None if x is None else x.contiguous(memory_format=torch.channels_last)


@cache
def _compile() -> None:
    """Makes torch know the operations of `fused.cpp`, compiled for the processor that is here and kept in the cache."""
    vectors = torch.backends.cpu.get_cpu_capability()
    command = [os.environ.get("CXX", "g++"), "-std=c++20", "-O3", "-fPIC", "-shared", "-fopenmp", *VECTORS[vectors]]
    command += [f"-DCPU_CAPABILITY={vectors}", f"-DCPU_CAPABILITY_{vectors}"]
    command += [f"-DWIDTH={WIDTH}", f"-DCOLUMNS={COLUMNS}"]
    command += [f"-D_GLIBCXX_USE_CXX11_ABI={int(torch.compiled_with_cxx11_abi())}", str(SOURCE)]
    torchs = Path(torch.__file__).parent
    command += [f"-isystem{torchs / 'include'}", f"-L{torchs / 'lib'}", "-ltorch_cpu", "-lc10"]
    made_from = "\n".join([SOURCE.read_text(), HEADER.read_text(), torch.__version__, *command])
    library = cache_dir() / "compiled" / f"fused-{hashlib.sha256(made_from.encode()).hexdigest()[:16]}.so"
    with locked(library.with_suffix(".lock"), PATIENCE, "compiled"):
        if not library.exists():
            remove_litter(library.parent)
            with staging(library.parent) as folder:
                made = folder / library.name
                _run([*command, "-o", str(made)])
                made.rename(library)
    try:
        torch.ops.load_library(library)
    except OSError as error:
        raise UserError(
            f"cannot load {library} ({reason(error.__cause__ or error)}); delete it, or set RESNET_LIB_CACHE to a "
            "folder of this machine's own where programs may be run"
        ) from None


def _run(command: list[str]) -> None:
    try:
        in_english = os.environ | {"LC_ALL": "C"}
        done = subprocess.run(command, env=in_english, capture_output=True, text=True, errors="replace", check=False)
    except OSError as error:
        raise UserError(f"the compiler {command[0]} cannot be run ({reason(error)}); {_ADVICE}") from None
    if done.returncode:
        complaints = (line for line in done.stderr.splitlines() if "error:" in line)
        complaint = next(complaints, f"status {done.returncode}")
        raise UserError(f"the compiler {command[0]} failed ({complaint.strip()}); {_ADVICE}")


_ADVICE = "name another one in CXX, or do not compile"
