"""Functions of single numbers that round alike wherever in a batch a number stands."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.overrides import TorchFunctionMode

LEAST_DIMENSIONS = 3  # of a batch of maps or tokens; what has fewer is too small to be shared out

# Approximated, and by other code for a share's last numbers than for the rest; sums, products and roots are
# rounded correctly by either.
APPROXIMATED = frozenset(
    (
        *(F.silu, F.gelu, F.mish, F.elu, F.selu, F.celu, F.softplus, F.logsigmoid, F.sigmoid, F.tanh),
        *(torch.sigmoid, torch.tanh, torch.exp, torch.log, torch.erf),
        *(Tensor.sigmoid, Tensor.tanh, Tensor.exp, Tensor.log, Tensor.erf),
    )
)


class PictureByPicture(TorchFunctionMode):
    """Within it a CPU approximates a function for one picture of a batch after the other.

    Threads share out all numbers of a batch, and where a share's length is no multiple of a register's, its
    last numbers are rounded by other code. Where these lie would depend on a picture's place.
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
        if func not in APPROXIMATED or not _a_batch(args) or torch.is_grad_enabled():
            return func(*args, **named)
        batch, *others = args
        # Filled in, so that it lies in memory as it would have.
        result = batch if named.pop("inplace", False) else torch.empty_like(batch)
        for picture, place in zip(batch, result, strict=True):
            place.copy_(func(picture, *others, **named))
        return result


def _a_batch(args: tuple[Any, ...]) -> bool:
    given = args[0] if args else None
    return isinstance(given, Tensor) and given.device.type == "cpu" and given.ndim >= LEAST_DIMENSIONS
