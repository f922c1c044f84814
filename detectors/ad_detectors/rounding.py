"""Functions of single numbers that round alike wherever in a batch a number stands."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.overrides import TorchFunctionMode

LEAST_DIMENSIONS = 3  # of a batch of maps or tokens; what has fewer is too small to be shared out

GRAIN = 32768  # numbers that torch gives to a thread at least
REGISTERS = 64  # numbers of any type that torch's loops take at once; those left over meet other code

# Approximated, and by other code for a share's last numbers than for the rest; sums, products and roots are
# rounded correctly by either.
APPROXIMATED = frozenset(
    (
        *(F.silu, F.gelu, F.mish, F.elu, F.selu, F.celu, F.softplus, F.logsigmoid, F.sigmoid, F.tanh),
        *(torch.sigmoid, torch.tanh, torch.exp, torch.log, torch.erf),
        *(Tensor.sigmoid, Tensor.tanh, Tensor.exp, Tensor.log, Tensor.erf),
    )
)
# Those that can write to where their result belongs, which spares a copy.
INTO: Mapping[Callable[..., Any], Callable[..., Any]] = {F.silu: torch.ops.aten.silu.out}


class PictureByPicture(TorchFunctionMode):
    """Within it a CPU approximates a function for one picture of a batch after the other.

    Threads share out all numbers of a batch, and where a share's length is no multiple of a register's, its
    last numbers are rounded by other code. Where these lie would depend on a picture's place. So it is with
    group norm, where shares end within a picture.
    """

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Iterable[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Call the function, on each picture for itself where that makes a difference."""
        named = dict(kwargs or {})
        if not _depends_on_place(func, args) or torch.is_grad_enabled():
            return func(*args, **named)
        batch, *others = args
        # Filled in, so that it lies in memory as it would have.
        result = batch if named.pop("inplace", False) else torch.empty_like(batch)
        into = INTO.get(func)
        for picture, place in zip(batch.split(1), result.split(1), strict=True):
            if into is not None:
                into(picture, out=place)
            else:
                place.copy_(func(picture, *others, **named))
        return result


def _depends_on_place(func: Callable[..., Any], args: tuple[Any, ...]) -> bool:
    batch = args[0] if args else None
    if not isinstance(batch, Tensor) or batch.device.type != "cpu" or batch.ndim < LEAST_DIMENSIONS:
        return False
    # With channels last threads share out the places of a batch, and sums over a group are sums of theirs: of
    # whole pictures only if threads divide the batch.
    if func is F.silu and _shared_out_in_registers(batch):
        return False
    return func in APPROXIMATED or (func is F.group_norm and len(batch) % torch.get_num_threads() > 0)


def _shared_out_in_registers(batch: Tensor) -> bool:
    """Return whether every thread's share is whole registers, so that all numbers meet the same code."""
    dense = batch.is_contiguous() or batch.is_contiguous(memory_format=torch.channels_last)
    sharers = 1 if batch.numel() <= GRAIN else min(torch.get_num_threads(), -(-batch.numel() // GRAIN))
    return dense and batch.numel() % (sharers * REGISTERS) == 0
