"""Where and how the arithmetic is done."""

import os
import shutil
from contextlib import AbstractContextManager
from dataclasses import dataclass

import torch

from resnet_lib.errors import UserError

# Linux then backs large tensors with pages of 2 MB in place of 4 kB. On two cores without AMX, compiled training of
# ResNet-20 became 12% faster. torch looks at this when it first allocates memory.
os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")


@dataclass(frozen=True)
class Hardware:
    """Where and how the arithmetic is done. It is not part of the config, and it stands in every record.

    `compiled` means operations that are compiled for the net: those of `training.fused` on a CPU, else torch.compile's.
    """

    device: torch.device
    precision: str
    compiled: bool

    @classmethod
    def choose(cls, device: str | None = None, precision: str = "auto", compiled: bool = False) -> "Hardware":
        """CUDA if there is any, else the CPU; bf16 where the device has units for it, else fp32.

        Raises:
            UserError: the device does not exist here.
        """
        try:
            chosen = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
            torch.zeros(1, device=chosen).item()  # "meta" makes tensors, but holds no values
        except (RuntimeError, AssertionError, ImportError) as error:  # torch's many ways to say no
            reason = str(error).splitlines()[0]
            raise UserError(f"device {device!r} cannot be used here ({reason}); leave it out or say cpu") from None
        if compiled and chosen.type == "cpu" and not shutil.which(os.environ.get("CXX", "g++")):
            raise UserError("compiling needs a C++ compiler, and g++ is not here; install it or do not compile")
        if precision == "auto":
            precision = "bf16" if fast_bf16(chosen) else "fp32"
        return cls(chosen, precision, compiled)

    def autocast(self) -> AbstractContextManager:
        """Convolutions and matrix products in bf16; sums, normalisation and the loss stay in fp32."""
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.precision == "bf16")


def fast_bf16(device: torch.device) -> bool:
    """Whether bf16 is faster than fp32: GPUs from Ampere on, and CPUs with AMX tiles or AVX-512's products of bf16.

    With AMX a ResNet-20 trains several times as fast as in fp32, with AVX-512 alone one and a half times.
    """
    if device.type == "cuda":
        return torch.cuda.get_device_capability(device)[0] >= 8
    return device.type == "cpu" and bool(bf16_units())


def bf16_units() -> list[str]:
    """What this CPU has for products of bf16, the fastest first."""
    questions = {"AMX": "_is_amx_tile_supported", "AVX-512 bf16": "_is_avx512_bf16_supported"}
    return [unit for unit, question in questions.items() if getattr(torch.cpu, question, lambda: False)()]
