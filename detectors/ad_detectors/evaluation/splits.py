"""The pictures of a category that a detector is evaluated on."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ad_detectors.data.images import (
    CachedImages,
    TestImages,
    calibration_images,
    test_images,
    validation_images,
)
from ad_detectors.data.layout import Category
from ad_detectors.data.splits import NONE, Holdout
from ad_detectors.errors import DataError


@dataclass(frozen=True)
class SplitImages:
    """The test split, and the normal pictures that were held out of training; none of them need be there."""

    test: TestImages | None
    validation: CachedImages | None = None
    calibration: CachedImages | None = None


def split_images(
    category: Category, size: int, cache: Path, fingerprint: str, holdout: Holdout = NONE
) -> SplitImages:
    """Return what there is to evaluate on at size x size; raise DataError if there is nothing at all."""
    test = test_images(category, size, cache, fingerprint) if category.test else None
    validation = validation_images(category, size, cache, fingerprint, holdout)
    calibration = calibration_images(category, size, cache, fingerprint, holdout)
    if test is None and not len(validation) and not len(calibration):
        raise DataError(
            f"{category.path} has no test pictures and no normal ones were held out; "
            "add test/good/ and test/<defect>/, or fit with a holdout such as 10/10"
        )
    return SplitImages(test, validation or None, calibration or None)
