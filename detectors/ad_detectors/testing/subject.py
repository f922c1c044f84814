"""A detector under test, and the fits of it that the promises are compared on."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from ad_detectors import checkpoint, registry
from ad_detectors.api import Detector, Scores, Stage
from ad_detectors.config import build, to_json
from ad_detectors.data.defects import Spoiled, spoil
from ad_detectors.fitting import ContextCore, run_fit
from ad_detectors.testing.pictures import MemoryImages, WatchedImages, pictures

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ad_detectors.api import State

SEED = 3
PICTURES = 12
ENOUGH_STEPS = 6  # what holds at every one of a few reports holds at many
BRIEF_STEPS = 2
SPOILED = 16  # of as few as eight, a detector that raises four in five falls below half on one machine in 18
WORKERS = ("workers", "num_workers")  # what a config may call the number of threads that read ahead


def digest(state: State) -> str:
    """Return a hash of a state that differs if a single bit, type or shape does."""
    whole = hashlib.sha256()
    for key in sorted(state):
        value = state[key]
        if isinstance(value, Tensor):
            whole.update(f"{key} {value.dtype} {tuple(value.shape)}\n".encode())
            flat = value.detach().cpu().contiguous().reshape(-1)
            whole.update(flat.view(torch.uint8).numpy().tobytes())
        else:
            whole.update(f"{key} {type(value).__name__} {value!r}\n".encode())
    return whole.hexdigest()


def stir(number: int) -> None:
    """Put every generator that a process has into a state that nobody can count on."""
    torch.manual_seed(number)
    random.seed(number)
    np.random.seed(number)  # the one that a careless detector would use


class Stopped(Exception):
    """Raised out of a report, as a cancelled or drained attempt would be."""


class WatchedContext(ContextCore):
    """Notes the state at every report, keeps stages, offers some, and stops where told to."""

    def __init__(
        self,
        detector: Detector,
        *,
        done: Iterable[str] = (),
        step: int = 0,
        stop_at: int | None = None,
        offer: Mapping[str, State] | None = None,
        workers: int = 0,
        device: torch.device | str = "cpu",
        autocast: bool = False,
    ) -> None:
        super().__init__(detector, torch.device(device), SEED, autocast=autocast, done=done, step=step)
        self.stop_at, self.offer, self.workers = stop_at, dict(offer or {}), workers
        self.digests: dict[int, str] = {}
        self.ends: set[int] = set()  # the last steps that were announced
        self.stored: dict[str, State] = {}

    def on_report(self, step: int, of: int, metrics: dict[str, float]) -> None:
        """Note the state, and stop if this is the step to stop at."""
        self.digests[step] = digest(self.detector.state())
        self.ends.add(of)
        if step == self.stop_at:
            raise Stopped

    def find_stage(self, stage: str) -> State | None:
        """Return a stage that is on offer."""
        return self.offer.get(stage)

    def store_stage(self, stage: str, state: State) -> None:
        """Keep a stage as it is now."""
        self.stored[stage] = {k: v.clone() if isinstance(v, Tensor) else v for k, v in state.items()}


@dataclass(frozen=True)
class Fit:
    """A fit that went through without a stop."""

    detector: Detector
    data: WatchedImages
    digests: Mapping[int, str]  # of the state at each report
    ends: frozenset[int]  # the last steps that were announced
    stored: Mapping[str, State]  # the part of each stage when it ended
    final: str  # digest of the state after the fit


@dataclass(frozen=True)
class Broken:
    """A fit that was stopped at a report."""

    state: State
    done: tuple[str, ...]
    step: int


class Subject:
    """A detector under test, with a config that fits in seconds and pictures of its size."""

    def __init__(self, kind: type[Detector], config: Any, name: str = "", full: Any = None) -> None:
        self.kind, self.config, self.name = kind, config, name
        self.full = config if full is None else full  # fitted for long enough to be of use

    @classmethod
    def of(cls, name: str, preset: str = "tiny", quick: Mapping[str, Any] | None = None) -> Subject:
        """Return a registered detector with its `tiny` preset, which every detector must have.

        A field `steps` is cut short and the fields of `quick` are set for everything but the one test of what
        was learned: let them make scoring quicker without leaving a part of it out.
        """
        kind = registry.detector_class(name)
        full = registry.resolve(name, preset, {})
        short = {**full, **_cut(full, ENOUGH_STEPS), **(quick or {})}
        return cls(kind, build(kind.Config, short), name, build(kind.Config, full))

    def new(self) -> Detector:
        """Return a detector that knows nothing yet."""
        return self.kind(self.config)

    def restored(self, state: State | Path) -> Detector:
        """Return a new detector with a state, or one from disk."""
        detector = self.new()
        detector.restore(checkpoint.load(state) if isinstance(state, Path) else state)
        return detector

    @property
    def brief(self) -> Any:
        """Return the config with next to no steps, for what does not depend on how much was learned."""
        flat = to_json(self.config)
        return build(self.kind.Config, {**flat, **_cut(flat, BRIEF_STEPS)})

    @property
    def stages(self) -> tuple[Stage, ...]:
        """Return the stages with this config, or the one that stands for none."""
        if self.name:
            return registry.describe(self.name).stages_of(self.config)
        every = tuple(field.name for field in fields(self.kind.Config))
        return registry.stages_of(self.kind) or (Stage(registry.WHOLE_FIT, every),)

    def train(self) -> WatchedImages:
        """Return normal pictures to learn from."""
        return WatchedImages(pictures(PICTURES, self.config.image_size))

    @cached_property
    def straight(self) -> Fit:
        """Fit once without a disturbance; the tests compare with this."""
        stir(1)
        return self.fitted()

    @cached_property
    def again(self) -> Fit:
        """Fit once more: other numbers in every generator that a process has, two workers that read ahead."""
        stir(2)
        return self.fitted(workers=2)

    @cached_property
    def halved(self) -> Fit:
        """Fit with batches computed in halves, as where memory did not suffice."""
        return self.fitted(divisor=2)

    def fitted(self, workers: int = 0, offer: Mapping[str, State] | None = None, divisor: int = 1) -> Fit:
        """Fit without a stop."""
        named = {name: workers for name in WORKERS if name in to_json(self.config)}
        detector = self.kind(build(self.kind.Config, {**to_json(self.config), **named}))
        detector.batch_divisor = divisor
        data, context = self.train(), WatchedContext(detector, workers=workers, offer=offer)
        run_fit(detector, data, context)
        final = digest(detector.state())
        return Fit(detector, data, context.digests, frozenset(context.ends), context.stored, final)

    def stopped(self, at: int, before: Broken | None = None) -> Broken:
        """Fit up to a report, from the start or from where another fit was stopped."""
        detector = self.restored(before.state) if before else self.new()
        context = WatchedContext(
            detector, done=before.done if before else (), step=before.step if before else 0, stop_at=at
        )
        try:
            run_fit(detector, self.train(), context)
        except Stopped:
            return Broken(detector.state(), tuple(context.done), context.step)
        raise AssertionError(f"the fit ended at report {context.step} without reaching {at}")

    @cached_property
    def taught(self) -> Detector:
        """Return a detector fitted for as long as the preset says."""
        if self.full == self.config:
            return self.straight.detector
        detector = self.kind(self.full)
        run_fit(detector, self.train(), ContextCore(detector, torch.device("cpu"), SEED))
        return detector

    @cached_property
    def spoiled(self) -> tuple[Spoiled, Scores, Scores]:
        """Return pictures with synthetic defects, and the taught detector's scores without and with them."""
        clean = pictures(SPOILED, self.config.image_size, seed=7)
        spoiled = spoil(clean, seed=5)
        return spoiled, self.taught.score(clean), self.taught.score(spoiled.images)

    def briefly_fitted(self, images: Tensor) -> Detector:
        """Return a detector that has seen these pictures for a moment."""
        detector = self.kind(self.brief)
        run_fit(detector, MemoryImages(images), ContextCore(detector, torch.device("cpu"), SEED))
        return detector


def _cut(flat: Mapping[str, Any], steps: int) -> dict[str, int]:
    wanted = flat.get("steps")  # None where a config counts in something else
    return {"steps": min(wanted, steps)} if isinstance(wanted, int) else {}
