"""A trial under way: what was scored of it becomes an estimate, rung by rung, and at the end measures."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ad_detectors.api import Detector
from ad_detectors.errors import ConfigError, DataError
from ad_detectors.evaluation.image_result import ImageResult
from ad_detectors.evaluation.measuring import Shown, measures_of, room_of, shown_of
from ad_detectors.evaluation.outcome import Measures
from ad_detectors.evaluation.partial import PartialEvaluation
from ad_detectors.evaluation.plan import LATENCY, Plan, of_pixels, splits_of
from ad_detectors.evaluation.scoring import Report, ms_again, score_parts
from ad_detectors.metrics.pixels import PixelRanking


@dataclass(frozen=True)
class TrialOutcome:
    """What a trial measured."""

    metrics: dict[str, float]  # every measure that was asked for, and how much the first can still tell
    rungs: tuple[float, ...]  # the first measure at the end of each rung
    images: tuple[ImageResult, ...]  # in the order in which they were scored
    ms_per_image: float | None


class Trial:
    """Scores what a plan names; `scored`, which grows, may be saved after any batch and gone on with."""

    def __init__(self, plan: Plan, scored: PartialEvaluation, scratch: Path | None = None) -> None:
        self.plan, self.scored = plan, scored
        self.rungs: list[float] = []
        self._tallies = {split: _Tally(plan, split, scratch) for split in splits_of(plan.measures)}
        self._taken = 0  # pictures that are in the tallies

    def score(self, detector: Detector, report: Report) -> None:
        """Score what is not scored yet, calling `report` after each batch, with `estimates` up to date."""

        def after(batch: int, of: int) -> None:
            self._catch_up(detector)
            report(batch, of)

        plan = self.plan
        score_parts(detector, plan.parts, self.scored, after, plan.batch, with_maps=plan.with_maps)
        self._catch_up(detector)

    @property
    def estimates(self) -> dict[str, float]:
        """Return what is known so far of the first measure: its newest value, and that of every rung."""
        first, latency = self.plan.measures[0], self.scored.ms_per_image
        if first == LATENCY:
            return {} if latency is None else {LATENCY: latency}
        if not self.rungs:
            return {}
        rungs = {f"rung/{number}": value for number, value in enumerate(self.rungs, 1)}
        return {first: self.rungs[-1], **rungs}

    def outcome(self, detector: Detector) -> TrialOutcome:
        """Measure, once all is scored; raise DataError for a measure that came to nothing."""
        latency = self.scored.ms_per_image
        if latency is None and LATENCY in self.plan.measures:  # there was but one batch
            latency = ms_again(detector, self.plan.parts[0], self.plan.batch)
        found: dict[str, float | None] = {LATENCY: latency}
        for split, tally in self._tallies.items():
            found |= {f"{split}/{name}": value for name, value in tally.measures().items()}
        metrics: dict[str, float] = {}
        for name in self.plan.measures:
            value = found[name]
            if value is None:
                raise DataError(f"these images cannot tell {name}; compare by another measure")
            metrics[name] = value
        for split in list(self._tallies)[:1]:
            room = self._tallies[split].room()
            metrics |= {f"{split}/{name}": value for name, value in room.items() if value is not None}
        shown = shown_of(self.plan.parts, self.scored)
        return TrialOutcome(metrics, tuple(self.rungs), tuple(each.result for each in shown), latency)

    def _catch_up(self, detector: Detector) -> None:
        """Count what was scored since the last time, and measure at the end of each rung on the way."""
        scored = self.scored
        if self.plan.with_maps and scored.done and not scored.maxima:
            name = type(detector).__name__
            raise ConfigError(f"{name} makes no anomaly maps to measure pixels by; compare by image_auroc")
        ends = [end for end in self.plan.rungs if self._taken < end <= scored.done]
        for end in dict.fromkeys([*ends, scored.done]):
            self._take(end)
            if end in ends:
                self.rungs.append(self._first())

    def _take(self, end: int) -> None:
        for shown in shown_of(self.plan.parts, self.scored, self._taken, end):
            tally = self._tallies.get(shown.result.split)
            if tally is not None:
                tally.add(shown, self.scored)
        self._taken = max(self._taken, end)

    def _first(self) -> float:
        split, _, name = self.plan.measures[0].partition("/")
        value = self._tallies[split].measures()[name]
        assert value is not None  # a plan has rungs only where the first of them can be told
        return value


class _Tally:
    """What one split's pictures were said to be, as far as they are scored."""

    def __init__(self, plan: Plan, split: str, scratch: Path | None) -> None:
        pixels = any(of_pixels(name) for name in plan.measures if name.startswith(f"{split}/"))
        self._ranking = PixelRanking(folder=scratch) if pixels else None
        self._shown: list[Shown] = []

    def add(self, shown: Shown, scored: PartialEvaluation) -> None:
        self._shown.append(shown)
        if self._ranking is not None:
            values, mask = scored.map(shown.place), shown.mask()
            if values is not None and mask is not None:
                self._ranking.add(values, mask)

    def measures(self) -> Measures:
        return measures_of(self._shown, self._ranking)

    def room(self) -> Measures:
        return room_of(self._shown)
