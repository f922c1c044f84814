"""Scoring in parts where memory does not suffice for a whole batch; imports no torch."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ad_detectors.api import Detector, Scores

if TYPE_CHECKING:
    from torch import Tensor


def scores_in_parts(detector: Detector) -> bool:
    """Say whether a batch to score can be divided: by the detector itself, or from without."""
    return detector.divides or detector.batch is None


def score(detector: Detector, images: Tensor) -> Scores:  # uint8 (B, 3, H, W)
    """Score images in as many parts as the detector's `batch_divisor` says.

    One that divides by itself is given them all. The score of an image does not depend on its batch, so parts
    give the same; where it does (`Detector.batch`), the images are left together.
    """
    parts = detector.batch_divisor
    if parts == 1 or detector.divides or detector.batch is not None:
        return detector.score(images)
    import torch

    found = [detector.score(part) for part in images.chunk(parts)]
    maps = [each.maps for each in found if each.maps is not None]
    return Scores(torch.cat([each.images for each in found]), torch.cat(maps) if maps else None)
