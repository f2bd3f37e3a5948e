"""The processes that train one net together: how they find each other, and what they tell each other.

    torchrun --nproc-per-node 8 -m resnet_lib train-imagenet DIR --suite table3

Every process has a device and works on its share of each batch; DistributedDataParallel averages the gradients.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, distributed, nn
from torch.distributed.rendezvous import rendezvous

from resnet_lib.data.batches import Share


@dataclass(frozen=True)
class Group(Share):
    """All processes that train together, seen from one of them. By default it is alone."""

    def sum(self, values: Tensor) -> Tensor:
        """The sum over all processes, in each of them, in place."""
        if self.size > 1:
            distributed.all_reduce(values)
        return values

    def any(self, true_here: bool, device: torch.device) -> bool:
        """Whether something is true in at least one process: the same answer in each. Alone, no device is asked."""
        if self.size == 1:
            return true_here
        return bool(self.sum(torch.tensor(true_here, device=device, dtype=torch.int)))

    def share_statistics(self, net: nn.Module) -> None:
        """Gives every process the first one's batch-norm statistics, which otherwise are of its own images."""
        if self.size > 1:
            for buffer in net.buffers():
                distributed.broadcast(buffer, 0)


ALONE = Group()


@contextmanager
def joined(device: str | None = None, parts: int = 1) -> Iterator[tuple[Group, str | None]]:
    """Joins the processes that torchrun started, if it did; gives the group and the device of this process.

    Args:
        device: "cpu" keeps all of them off the GPUs.
        parts: see `Share`: more than one when memory is short.
    """
    if not distributed.is_torchelastic_launched():
        yield Group(parts=parts), device
        return
    if on_cuda := device != "cpu" and torch.cuda.is_available():
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
        device = f"cuda:{os.environ['LOCAL_RANK']}"
    store, rank, size = next(rendezvous("env://"))
    # The launcher may keep one store for all attempts, in which the address of a process that was lost is still found.
    store = distributed.PrefixStore(f"attempt {os.environ['TORCHELASTIC_RESTART_COUNT']}, {size} processes", store)
    distributed.init_process_group("nccl" if on_cuda else "gloo", store=store, rank=rank, world_size=size)
    try:
        yield Group(rank, size, parts), device
    finally:
        distributed.destroy_process_group()
