"""How far the scores of an exported file are from those of the detector, measured on picture files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch

from ad_detectors import maps
from ad_detectors.api import Detector
from ad_detectors.data import decoding
from ad_detectors.errors import DataError
from ad_detectors.exporting.onnx_file import Runner

# The most that scores may differ, relative to the highest: convolutions add up in another order.
TOLERANCE = 1e-4


@dataclass(frozen=True)
class Parity:
    """The largest differences over some pictures."""

    pictures: int
    score: float  # relative to the highest score
    map: float  # relative to the highest value of any map
    decisions: int  # pictures that one calls anomalous and the other does not
    tolerance: float = TOLERANCE

    @property
    def kept(self) -> bool:
        """Whether scores and maps are within the tolerance."""
        return max(self.score, self.map) <= self.tolerance

    def to_json(self) -> dict[str, float | int]:
        """Return it as plain numbers."""
        return asdict(self)


def measured(detector: Detector, run: Runner, files: Sequence[Path], threshold: float) -> Parity:
    """Score picture files with a detector, read at its size, and with a runtime, read at their own.

    Raises DataError where there are no files, BadPicture for one that cannot be read.
    """
    if not files:
        raise DataError("there are no pictures to compare scores on")
    side = int(detector.config.image_size)
    score = far = highest = furthest = 0.0
    decisions = 0
    for file in files:
        small, whole = decoding.picture(file, side), decoding.picture(file, None)
        expected = detector.score(torch.from_numpy(small)[None])
        assert expected.maps is not None  # a detector with an export has maps
        there = maps.stretched(expected.maps.cpu(), *whole.shape[1:]).numpy()
        scores, anomalous, found = run(np.ascontiguousarray(whole.transpose(1, 2, 0)[None]))
        value = float(expected.images[0])
        score, highest = max(score, abs(float(scores[0]) - value)), max(highest, abs(value))
        far, furthest = (
            max(far, float(np.abs(found - there).max())),
            max(furthest, float(np.abs(there).max())),
        )
        decisions += bool(anomalous[0]) != (value > threshold)
    return Parity(len(files), score / max(highest, 1e-12), far / max(furthest, 1e-12), decisions)
