"""Saying which picture's scores differ and by how much, and what of a process was changed."""

from __future__ import annotations

import hashlib
import pickle
import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields
from typing import Any
from unittest import mock

import numpy as np
import torch
from torch import Tensor

from ad_detectors.api import Scores


def assert_same(expected: Scores, got: Scores, names: Sequence[str], when: str) -> None:
    """Raise AssertionError that names the worst picture unless all scores and maps are bit-equal."""
    _assert_equal("score", expected.images, got.images, names, when)
    assert (expected.maps is None) == (got.maps is None), f"there are maps once, and none {when}"
    if expected.maps is not None and got.maps is not None:
        _assert_equal("map", expected.maps, got.maps, names, when)


def _assert_equal(what: str, expected: Tensor, got: Tensor, names: Sequence[str], when: str) -> None:
    assert got.shape == expected.shape, (
        f"{len(names)} pictures have {what}s of shape {tuple(got.shape)}, not {tuple(expected.shape)}, {when}"
    )
    far = (got - expected).abs().flatten(1).amax(1) if got.ndim > 1 else (got - expected).abs()
    differing = [index for index in range(len(names)) if not torch.equal(got[index], expected[index])]
    if differing:
        worst = max(differing, key=lambda index: float(far[index].nan_to_num(float("inf"))))
        raise AssertionError(
            f"the {what} of {len(differing)} of {len(names)} pictures is another {when}; "
            f"most that of {names[worst]}, by {float(far[worst]):.3g}"
        )


def assert_refused(call: Callable[[], object], what: str, *kinds: type[Exception]) -> None:
    """Raise AssertionError unless this call raises one of these errors, with one line that says why."""
    try:
        call()
    except kinds as error:
        message = str(error)
    else:
        raise AssertionError(f"{what} is not refused; raise {' or '.join(kind.__name__ for kind in kinds)}")
    assert message, f"{what} is refused without a word"
    assert "\n" not in message, f"{what} is refused in more than one line: {message}"


def chosen(scores: Scores, indices: Sequence[int]) -> Scores:
    """Return the scores of some pictures."""
    return Scores(scores.images[list(indices)], None if scores.maps is None else scores.maps[list(indices)])


@dataclass(frozen=True)
class Surroundings:
    """What a process shares among all that runs in it, and scoring must leave as it was."""

    torch_generator: str
    python_generator: str
    numpy_generator: str
    threads: int
    gradients: bool
    deterministic_algorithms: bool
    cudnn_deterministic: bool
    cudnn_benchmark: bool
    default_dtype: str

    @classmethod
    def now(cls) -> Surroundings:
        """Return what is so now."""
        return cls(
            torch_generator=_hash(torch.get_rng_state().numpy().tobytes()),
            python_generator=_hash(repr(random.getstate()).encode()),
            numpy_generator=_hash(repr(np.random.get_state()).encode()),
            threads=torch.get_num_threads(),
            gradients=torch.is_grad_enabled(),
            deterministic_algorithms=torch.are_deterministic_algorithms_enabled(),
            cudnn_deterministic=torch.backends.cudnn.deterministic,
            cudnn_benchmark=torch.backends.cudnn.benchmark,
            default_dtype=str(torch.get_default_dtype()),
        )

    def changed(self) -> list[str]:
        """Return what is not so any more."""
        now = Surroundings.now()
        names = [field.name for field in fields(self)]
        return [name.replace("_", " ") for name in names if getattr(now, name) != getattr(self, name)]


@contextmanager
def nothing_is_unpickled() -> Iterator[None]:
    """Raise AssertionError where anything is unpickled; `torch.load` counts whatever its arguments."""

    def refuse(name: str) -> Any:
        def refused(*_: object, **__: object) -> None:
            raise AssertionError(f"{name} was called, and a state must never be unpickled")

        return refused

    with (
        mock.patch.object(pickle, "load", refuse("pickle.load")),
        mock.patch.object(pickle, "loads", refuse("pickle.loads")),
        mock.patch.object(pickle, "Unpickler", refuse("pickle.Unpickler")),
        mock.patch.object(torch, "load", refuse("torch.load")),
    ):
        yield


def _hash(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
