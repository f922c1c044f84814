"""Takes from our DDAD one thing at a time that makes it fast or small, to see what it brings."""

import math
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from unittest.mock import patch

import torch
import torch.nn.functional as F
from torch import Tensor

from ad_detectors.nets import attention, group_norm, unet


@dataclass(frozen=True)
class Without:
    """One thing less: what was there, and how it is taken away."""

    what: str
    taken: Callable[[], "ExitStack"]
    fused: bool = True  # the optimiser


def _patched(*patches: tuple[object, str, object]) -> Callable[[], ExitStack]:
    def taken() -> ExitStack:
        with ExitStack() as stack:
            for of, name, value in patches:
                stack.enter_context(patch.object(of, name, value))
            return stack.pop_all()

    return taken


def _attention(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Return what the fused kernel does, with every matrix of it in memory."""
    likeness = (q / math.sqrt(q.shape[-1])) @ k.transpose(-1, -2)
    return torch.softmax(likeness, dim=-1) @ v


def _kept_at_random(shape: torch.Size, dropped: float, device: torch.device) -> Tensor:
    """Draw as torch's own dropout does: a number for each element."""
    return torch.empty(shape, device=device).bernoulli_(1 - dropped)


def _dropout(x: Tensor, kept: Tensor, dropped: float) -> Tensor:
    return x * kept / (1 - dropped)


def _never(*_: object) -> bool:
    return False


def _at_once(training: bool, layers: Callable[..., Tensor], x: Tensor, *others: Tensor | None) -> Tensor:
    del training
    return layers(x, *others)


TRAINING = (
    Without("channels last", _patched((unet, "CHANNELS_LAST", ()))),
    Without("a gradient of group norm of our own", _patched((group_norm, "_channels_last", _never))),
    Without("the fused attention", _patched((F, "scaled_dot_product_attention", _attention))),
    Without(
        "cheap dropout", _patched((unet, "kept_at_random", _kept_at_random), (unet, "dropout", _dropout))
    ),
    Without("the fused optimiser", _patched(), fused=False),
    Without("computing again what is cheap", _patched((unet, "remade", _at_once))),
)
SCORING = (
    TRAINING[0],
    Without("the fused attention", _patched((unet, "attention", _attention))),
    Without("attention by oneDNN", _patched((attention, "halves_registers", _never))),
)
