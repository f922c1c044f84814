"""What an evaluation found."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from torch import Tensor

from ad_detectors.evaluation.image_result import TEST, VALIDATION, ImageResult
from ad_detectors.evaluation.observed import Observed
from ad_detectors.evaluation.operating import OperatingPoint
from ad_detectors.metrics.bootstrap import Evidence, Interval

Measures: TypeAlias = Mapping[str, float | None]  # None where the data cannot tell, such as with one class


@dataclass(frozen=True)
class Evaluation:
    """The results on the test split, and apart from them those on pictures held out of training."""

    images: tuple[ImageResult, ...]  # of the test split
    metrics: Measures
    maps: Sequence[Tensor] | None = None  # of the test split, (H, W) float32 each; None if there are none
    defects: Mapping[str, Measures] = field(default_factory=dict)  # each defect against all normal pictures
    intervals: Mapping[str, Interval] = field(default_factory=dict)
    defect_intervals: Mapping[str, Mapping[str, Interval]] = field(default_factory=dict)
    evidence: Evidence | None = None  # to compare two detectors: metrics.bootstrap.paired_difference
    unmarked: tuple[str, ...] = ()  # anomalous pictures that no pixel measure counts: no defect was drawn
    validation: Measures = field(default_factory=dict)
    held_out: tuple[ImageResult, ...] = ()  # validation, with its synthetic defects, then calibration
    operating: OperatingPoint | None = None  # by the calibration images; None where none were held out
    observed: Observed | None = None  # how often that point was right on the test split
    ms_per_image: float | None = None

    def flat(self) -> dict[str, float | None]:
        """Return all measures by names like "test/image_auroc" and "validation/image_auroc"."""
        return {f"{TEST}/{name}": value for name, value in self.metrics.items()} | {
            f"{VALIDATION}/{name}": value for name, value in self.validation.items()
        }

    def to_json(self) -> dict[str, object]:
        """Return what a person wants to read of it."""
        return {
            **self.metrics,
            "intervals": {name: [each.low, each.high] for name, each in self.intervals.items()},
            "defects": {defect: dict(measures) for defect, measures in self.defects.items()},
            "defect_intervals": {
                defect: {name: [each.low, each.high] for name, each in found.items()}
                for defect, found in self.defect_intervals.items()
            },
            "validation": dict(self.validation),
            "operating_point": self.operating.to_json() if self.operating is not None else None,
            "observed": self.observed.to_json() if self.observed is not None else None,
            "unmarked": list(self.unmarked),
            "ms_per_image": self.ms_per_image,
        }
