"""What a detector said of one picture."""

from __future__ import annotations

from dataclasses import dataclass

TEST, VALIDATION, CALIBRATION = "test", "validation", "calibration"


@dataclass(frozen=True)
class ImageResult:
    """What the detector said of one picture, beside what is known of it."""

    path: str  # relative to the category's folder
    label: int  # 1 anomalous, 0 normal
    defect: str  # "good" for normal ones, the kind of a synthetic one
    score: float
    split: str = TEST
    map_max: float | None = None  # the highest value of its anomaly map; None of a detector without maps
