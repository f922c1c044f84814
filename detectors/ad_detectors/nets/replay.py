"""A network's call recorded as a CUDA graph and replayed: a small one waits for Python, not for the card."""

from __future__ import annotations

import warnings
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

MOST = 4  # recordings kept for a network, each with its own working memory
WARM_UP = 2  # calls before a recording, in which libraries choose their kernels
_RECORDINGS = "_recorded_calls"


class Recording:
    """One call, for inputs of one shape."""

    def __init__(self, call: Callable[..., Tensor], inputs: tuple[Tensor, ...]) -> None:
        self._inputs = tuple(each.clone() for each in inputs)  # clone keeps how they lie in memory
        aside = torch.cuda.Stream()  # type: ignore[no-untyped-call]
        aside.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(aside):
            for _ in range(WARM_UP):
                call(*self._inputs)
        torch.cuda.current_stream().wait_stream(aside)
        self._graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self._graph, capture_error_mode="thread_local"):
            self._output = call(*self._inputs)

    def __call__(self, *inputs: Tensor) -> Tensor:
        """Return what the call gives for these inputs."""
        for own, given in zip(self._inputs, inputs, strict=True):
            own.copy_(given)
        self._graph.replay()
        return self._output.clone()


def replayed(net: nn.Module, call: Callable[..., Tensor], key: object) -> Callable[..., Tensor]:
    """Return `call`, which runs `net` in eval mode on CUDA, such that it is recorded and then replayed.

    Recordings belong to the network; `key` tells calls apart that compute otherwise. One is made for every
    shape of inputs, and anew when weights were put elsewhere in memory; weights that are changed in place are
    seen. With gradients, and where recording fails, it is called as it stands.
    """
    recordings: OrderedDict[Any, Recording | None] = net.__dict__.setdefault(_RECORDINGS, OrderedDict())

    def run(*inputs: Tensor) -> Tensor:
        if torch.is_grad_enabled() or not all(each.is_cuda for each in inputs):
            return call(*inputs)
        shapes = tuple((each.shape, each.stride(), each.dtype) for each in inputs)
        places = hash(tuple(each.data_ptr() for each in net.parameters()))
        named = (key, shapes, places)
        if named not in recordings:
            recordings[named] = _recorded(call, inputs)
            while len(recordings) > MOST:
                recordings.popitem(last=False)
        recordings.move_to_end(named)
        recording = recordings[named]
        return call(*inputs) if recording is None else recording(*inputs)

    return run


def _recorded(call: Callable[..., Tensor], inputs: tuple[Tensor, ...]) -> Recording | None:
    try:
        return Recording(call, inputs)
    except RuntimeError as error:  # something in it asks the card for a number, or memory is short
        first = " ".join(str(error).split())[:160]
        warnings.warn(f"the network is called without a CUDA graph: {first}", RuntimeWarning, stacklevel=3)
        return None
