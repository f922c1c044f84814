"""The processes that fit one detector together, each with a device of its own and its part of every batch.

Data parallelism as torch has it (Li et al., "PyTorch Distributed", VLDB 2020): every rank has the whole
model, computes the gradients of its share of a batch, and makes the same step from their mean.
"""

from __future__ import annotations

import os
import socket
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ad_detectors.api import Ranks

if TYPE_CHECKING:
    from pathlib import Path

    import torch
    from torch import Tensor, nn


@dataclass(frozen=True)
class Alone:
    """A process that fits by itself."""

    rank: int = 0
    size: int = 1

    def parallel(self, net: nn.Module) -> nn.Module:
        """Return the network itself."""
        return net

    def apart(self, model: nn.Module) -> AbstractContextManager[None]:
        """Change nothing: gradients add up anyway."""
        del model
        return nullcontext()

    def total(self, value: float) -> float:
        """Return the number itself."""
        return value


class Together:
    """A process among several on one machine, which meet at a file: gloo on CPUs, NCCL on CUDA."""

    def __init__(self, rank: int, size: int, device: torch.device, meeting: Path) -> None:
        """Wait until all have come; `meeting` is a path in a folder that they share, new for each fit."""
        import torch.distributed as dist

        # They are on one machine: neither its name nor its network need to work.
        loopback = next((name for _, name in socket.if_nameindex() if name.startswith("lo")), "lo")
        os.environ.setdefault("GLOO_SOCKET_IFNAME", loopback)
        os.environ.setdefault("NCCL_SOCKET_IFNAME", loopback)
        self.rank, self.size, self._device = rank, size, device
        dist.init_process_group(
            "nccl" if device.type == "cuda" else "gloo",
            init_method=f"file://{meeting}",
            rank=rank,
            world_size=size,
        )

    def parallel(self, net: nn.Module) -> nn.Module:
        """Return the network wrapped: gradients of its end travel while those before are computed."""
        from torch.nn.parallel import DistributedDataParallel

        on_card = self._device.type == "cuda"
        wrapped: nn.Module = DistributedDataParallel(
            net, device_ids=[self._device] if on_card else None, gradient_as_bucket_view=True
        )
        return wrapped

    def apart(self, model: nn.Module) -> AbstractContextManager[None]:
        """Send nothing within this block."""
        found: AbstractContextManager[None] = model.no_sync()  # type: ignore[operator]
        return found

    def total(self, value: float) -> float:
        """Return the sum of a number over all ranks."""
        import torch
        import torch.distributed as dist

        summed = torch.tensor(value, dtype=torch.float64, device=self._device)
        dist.all_reduce(summed)
        return float(summed)

    def leave(self) -> None:
        """Part from the others; nobody waits for anybody."""
        import torch.distributed as dist

        if dist.is_initialized():
            dist.destroy_process_group()


@dataclass(frozen=True)
class Share:
    """A rank's part of a batch: the tensors cut to it, and what fraction of the batch it is."""

    tensors: tuple[Tensor, ...]
    fraction: float  # 0..1; over all ranks they add up to 1


def share(ranks: Ranks, *batch: Tensor) -> Share:
    """Return this rank's part of tensors with equally many rows.

    Of fewer rows than ranks some ranks have none: such a rank has the first one with fraction 0, since all
    must take part in the exchange of gradients.
    """
    if ranks.size == 1:
        return Share(batch, 1.0)
    count = len(batch[0])
    first, end = (count * number // ranks.size for number in (ranks.rank, ranks.rank + 1))
    if first == end:
        return Share(tuple(each[:1] for each in batch), 0.0)
    return Share(tuple(each[first:end] for each in batch), (end - first) / count)
