"""Golden values: what a detector gave when its stages had these versions, within what CPUs may differ by."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from ad_detectors import registry
from ad_detectors.api import Detector, Scores
from ad_detectors.config import to_json
from ad_detectors.determinism import using_threads
from ad_detectors.fitting import ContextCore, run_fit
from ad_detectors.testing.pictures import pictures, with_defect
from ad_detectors.testing.subject import SEED, Subject

if TYPE_CHECKING:
    from ad_detectors.api import State

DIGITS = 9
# Relative, and far more than SSE4, AVX2 and a torch without oneDNN were found to differ by from AVX-512.
FITTED = 1e-3  # of losses, norms and plain numbers
PATTERN = 2e-2  # Adam's first steps have the sign of gradients that are all but zero
SCORED = 2e-3
FEW_VALUES = 16  # plain numbers of a state are kept one by one if there are no more


@dataclass(frozen=True)
class StageValues:
    """What one version of a stage gave."""

    name: str
    version: int
    values: Mapping[str, float]


@dataclass(frozen=True)
class Golden:
    """What a detector with a config gave on fixed pictures."""

    detector: str
    config: Mapping[str, Any]
    stages: tuple[StageValues, ...]
    scores: Mapping[str, float]
    preset: str = ""
    settings: Mapping[str, Any] = field(default_factory=dict)  # on top of the preset

    def write(self, path: Path) -> None:
        """Write to a file that is easy to compare by eye."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(asdict(self), indent=1) + "\n")

    @classmethod
    def read(cls, path: Path) -> Golden:
        """Read what `write` wrote."""
        found = json.loads(path.read_text())
        found["stages"] = tuple(StageValues(**stage) for stage in found["stages"])
        return cls(**found)


def measured(subject: Subject, preset: str = "", settings: Mapping[str, Any] | None = None) -> Golden:
    """Fit and score on one thread, and return what came of it."""
    with using_threads(1):
        detector = subject.new()
        noted = _Noted(detector)
        run_fit(detector, subject.train(), noted)
        clean = pictures(3, subject.config.image_size, seed=31)
        shown = torch.cat([clean, with_defect(clean)])
        scores = _numbers(detector.score(shown))
    stages = tuple(
        StageValues(stage.name, stage.version, noted.values.get(stage.name, {})) for stage in subject.stages
    )
    return Golden(subject.name, to_json(subject.config), stages, scores, preset, dict(settings or {}))


@dataclass(frozen=True)
class Complaint:
    """What is not as recorded, in a whole sentence that says what to do."""

    text: str
    unannounced: bool = False  # results moved, and no stage's version was raised for it


def complaint(recorded: Golden, now: Golden) -> Complaint | None:
    """Return what is not as recorded, if anything: the first thing, from which the others follow."""
    before, after = ([(stage.name, stage.version) for stage in each.stages] for each in (recorded, now))
    record = advice_to_record(now.detector)
    if [name for name, _ in before] != [name for name, _ in after]:
        then, found = (", ".join(name for name, _ in each) for each in (before, after))
        return Complaint(f"{now.detector}: the stages were {then} when recorded and are {found}; {record}")
    if before != after:
        raised = [
            f"'{name}' has version {version}" for name, version in after if (name, version) not in before
        ]
        what = f"stage {' and '.join(raised)}, for which there are no golden values"
        return Complaint(f"{now.detector}: {what}; {record}")
    for stage, found_stage in zip(recorded.stages, now.stages, strict=True):
        moved = list(_moved(stage.values, found_stage.values, FITTED))
        if moved:
            return _moved_in(now.detector, stage, f"{moved[0]} ({len(moved)} of its values moved)")
    moved = list(_moved(recorded.scores, now.scores, SCORED))
    if moved:
        what = f"no fitted number moved, but scores did: {moved[0]} ({len(moved)} of them moved)"
        return _moved_in(now.detector, recorded.stages[-1], what)
    return None


def advice_to_record(detector: str) -> str:
    """Return what to do to have new golden values."""
    return f"record the new values: python -m ad_detectors.testing record {detector}"


class _Noted(ContextCore):
    """Notes the first and last of each stage's metrics, and a few numbers that its state comes down to."""

    def __init__(self, detector: Detector) -> None:
        super().__init__(detector, torch.device("cpu"), SEED)
        self.values: dict[str, dict[str, float]] = {}
        self._stage = registry.WHOLE_FIT

    def begin(self, stage: str) -> bool:
        self._stage = stage
        return super().begin(stage)

    def on_report(self, step: int, of: int, metrics: dict[str, float]) -> None:
        noted = self.values.setdefault(self._stage, {})
        for name, value in metrics.items():
            noted.setdefault(f"first {name}", _rounded(value))
            noted[f"last {name}"] = _rounded(value)

    def store_stage(self, stage: str, state: State) -> None:
        self.values.setdefault(stage, {}).update(_summary(state))


def _summary(state: State) -> dict[str, float]:
    """Return a few numbers that move when a stage's part of a state does."""
    groups: dict[str, list[Tensor]] = {}
    for key, value in sorted(state.items()):
        if isinstance(value, Tensor):
            groups.setdefault(key.split("/")[1], []).append(value)
    kept: dict[str, float] = {}
    for name, tensors in groups.items():
        kept |= {f"{what} of {name}": number for what, number in _of_tensors(tensors).items()}
    plain = {key: value for key, value in sorted(state.items()) if _small(value)}
    if len(plain) <= FEW_VALUES:
        kept |= {f"value of {key}": _rounded(float(value)) for key, value in plain.items()}
    return kept


def _of_tensors(tensors: list[Tensor]) -> dict[str, float]:
    kept: dict[str, float] = {"tensors": len(tensors), "numbers": sum(each.numel() for each in tensors)}
    floats = [each.double().flatten() for each in tensors if each.is_floating_point()]
    if not floats:
        return kept
    whole = torch.cat(floats)
    norm = float(whole.norm())
    wave = torch.sin(torch.arange(1, len(whole) + 1, dtype=torch.float64))
    return kept | {
        "norm": _rounded(norm),
        "magnitude": _rounded(float(whole.abs().mean())),
        # Neither norm nor magnitude minds signs or order; 1 is added to make the tolerance relative.
        "pattern": _rounded(1.0 + float((whole * wave).sum()) / max(norm, 1e-30)),
    }


def _numbers(scores: Scores) -> dict[str, float]:
    names = [f"{kind} {index}" for kind in ("clean", "defect") for index in range(len(scores.images) // 2)]
    kept = {f"score of {name}": float(value) for name, value in zip(names, scores.images, strict=True)}
    if scores.maps is not None:
        means = scores.maps.double().mean((1, 2))
        kept |= {f"mean of the map of {name}": float(value) for name, value in zip(names, means, strict=True)}
    return {name: _rounded(value) for name, value in kept.items()}


def _moved(recorded: Mapping[str, float], found: Mapping[str, float], tolerance: float) -> Iterator[str]:
    for name in {**recorded, **found}:
        if name not in found or name not in recorded:
            yield f"{name} is {'gone' if name in recorded else 'new'}"
            continue
        before, after = recorded[name], found[name]
        off = abs(after - before) / max(abs(before), 1e-12)
        allowed = PATTERN if name.startswith("pattern of ") else tolerance
        if not off <= allowed:
            yield f"{name} is {after:.6g} and was {before:.6g}, {off:.2%} off; {allowed:.1%} is allowed"


def _moved_in(detector: str, stage: StageValues, what: str) -> Complaint:
    record = advice_to_record(detector)
    if stage.name == registry.WHOLE_FIT:  # a detector without stages: its source stands for a version
        return Complaint(f"{detector} gives other results: {what}; if that is meant, {record}")
    raised = f"raise its version in STAGES from {stage.version} to {stage.version + 1}"
    return Complaint(
        f"{detector}: stage '{stage.name}' gives other results: {what}; if that is meant, {raised}, "
        f"lest results stored before pass for those of now, and {record}",
        unannounced=True,
    )


def _small(value: object) -> bool:
    """Whether this is a number to be kept as it is; a seed has more digits than a file keeps."""
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 2**31


def _rounded(value: float) -> float:
    return float(f"{value:.{DIGITS}g}") if math.isfinite(value) else value
