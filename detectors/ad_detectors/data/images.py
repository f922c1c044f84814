"""A split of a category as pixels: decoded and resized once, then read from a memory-mapped file."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import numpy as np
from numpy.typing import NDArray

from ad_detectors import cpus
from ad_detectors.data import decoding
from ad_detectors.data.cache import Wanted, mapped
from ad_detectors.data.layout import GOOD, Category, Sample
from ad_detectors.data.splits import NONE, Holdout, split
from ad_detectors.errors import DataError

if TYPE_CHECKING:
    from torch import Tensor

T = TypeVar("T")
R = TypeVar("R")
Kind = TypeVar("Kind", bound=np.generic)


class CachedImages:
    """The pictures of one split, as `api.Images` promises them."""

    def __init__(
        self, samples: Sequence[Sample], pixels: NDArray[np.uint8], rows: Sequence[int] | None = None
    ) -> None:
        """Serve `samples`, whose pixels are these rows of `pixels`: all of them, in order, unless told."""
        self.samples = list(samples)
        self._pixels = pixels  # (N, 3, H, W)
        self._rows = np.arange(len(self.samples)) if rows is None else np.asarray(rows, dtype=np.intp)
        self.anomalous: CachedImages | None = None  # labelled ones beside these, to learn from

    @property
    def size(self) -> tuple[int, int]:
        """Return (height, width) in pixels."""
        return self._pixels.shape[2], self._pixels.shape[3]

    @property
    def paths(self) -> list[str]:
        """Return the sorted paths, relative to the category's folder."""
        return [sample.name for sample in self.samples]

    def __len__(self) -> int:
        return len(self.samples)

    def batch(self, indices: Sequence[int]) -> Tensor:
        """Return the pictures of these indices: uint8 (B, 3, H, W), RGB."""
        import torch

        return torch.from_numpy(
            np.ascontiguousarray(self._pixels[self._rows[np.asarray(indices, dtype=np.intp)]])
        )


class TestImages(CachedImages):
    """The test split: pictures with what is known of them."""

    __test__ = False  # not a test class, whatever pytest makes of the name

    def __init__(
        self, samples: Sequence[Sample], pixels: NDArray[np.uint8], masks: NDArray[np.bool_]
    ) -> None:
        super().__init__(samples, pixels)
        self._masks = masks  # (N, H, W)
        self.labels = [sample.label for sample in samples]  # 1 anomalous, 0 normal
        self.defects = [sample.defect for sample in samples]  # "good" for normal ones
        # An anomalous picture whose defect nobody has drawn says nothing about pixels.
        self.has_mask = [sample.defect == GOOD or sample.mask is not None for sample in samples]

    def masks(self, indices: Sequence[int]) -> NDArray[np.bool_]:  # (B, H, W)
        """Return which pixels are defective; none in normal pictures, nor where `has_mask` is False."""
        return np.ascontiguousarray(self._masks[np.asarray(indices, dtype=np.intp)])


def train_images(
    category: Category,
    size: int,
    cache: Path,
    fingerprint: str,
    holdout: Holdout = NONE,
    *,
    limit: int | None = None,
    labels: bool = False,
) -> CachedImages:
    """Return the normal pictures to learn from at size x size; raise DataError naming a bad file.

    `cache` is the folder for decoded pictures, and `limit` bounds its bytes (see `cache.mapped`). With
    `labels` those of train/<defect>, if there are any, come along as `anomalous`; none of them is held out.
    """
    place = _Place(cache, fingerprint, limit)
    found = _normal(category, size, place, split(category.train, holdout).train)
    if labels and category.anomalous:
        pixels = _pixels(category.anomalous, size, place, "anomalous")
        found.anomalous = CachedImages(category.anomalous, pixels)
    return found


def validation_images(
    category: Category,
    size: int,
    cache: Path,
    fingerprint: str,
    holdout: Holdout = NONE,
    *,
    limit: int | None = None,
) -> CachedImages:
    """Return the normal pictures by which settings are chosen; there may be none."""
    part = split(category.train, holdout).validation
    return _normal(category, size, _Place(cache, fingerprint, limit), part)


def calibration_images(
    category: Category,
    size: int,
    cache: Path,
    fingerprint: str,
    holdout: Holdout = NONE,
    *,
    limit: int | None = None,
) -> CachedImages:
    """Return the normal pictures by which thresholds are fixed; there may be none."""
    part = split(category.train, holdout).calibration
    return _normal(category, size, _Place(cache, fingerprint, limit), part)


def _normal(category: Category, size: int, place: _Place, part: Sequence[Sample]) -> CachedImages:
    """Serve a part of the normal pictures from the one file that holds them all, whatever is held out."""
    rows = {sample.name: row for row, sample in enumerate(category.train)}
    pixels = _pixels(category.train, size, place, "train")
    return CachedImages(part, pixels, [rows[sample.name] for sample in part])


def test_images(
    category: Category,
    size: int,
    cache: Path,
    fingerprint: str,
    *,
    limit: int | None = None,  # noqa: PT028 - not a test either
) -> TestImages:
    """Return the test pictures at size x size with labels and masks; raise DataError naming a bad file."""
    if not category.test:
        raise DataError(f"{category.path} has no test pictures; add test/good/ and test/<defect>/")
    samples, place = category.test, _Place(cache, fingerprint, limit)

    def read(sample: Sample) -> NDArray[np.bool_]:
        if sample.mask is None:
            return np.zeros((size, size), dtype=np.bool_)
        return decoding.mask(sample.mask, size)

    masks = place.mapped("masks", samples, read, (size, size), np.dtype(np.bool_))
    return TestImages(samples, _pixels(samples, size, place, "test"), masks)


test_images.__test__ = False  # type: ignore[attr-defined]  # nor is this a test


def _pixels(samples: Sequence[Sample], size: int, place: _Place, part: str) -> NDArray[np.uint8]:
    def read(sample: Sample) -> NDArray[np.uint8]:
        return decoding.picture(sample.path, size)

    return place.mapped(part, samples, read, (3, size, size), np.dtype(np.uint8))


@dataclass(frozen=True)
class _Place:
    """Where the decoded pictures of one category are kept."""

    folder: Path
    fingerprint: str
    limit: int | None

    def mapped(
        self,
        part: str,
        samples: Sequence[Sample],
        read: Callable[[Sample], NDArray[Kind]],
        shape: tuple[int, ...],
        dtype: np.dtype[Kind],
    ) -> NDArray[Kind]:
        """Map what `read` gives for these samples, in order."""
        # The fingerprint says what the files hold; a split may still be any choice of them.
        choice = hashlib.sha256("\n".join(sample.name for sample in samples).encode()).hexdigest()[:12]
        name = f"{self.fingerprint}-{part}-{choice}-{shape[-1]}-v{decoding.VERSION}"
        wanted = Wanted(name, (len(samples), *shape), dtype, lambda: _decoded(samples, read))
        return mapped(self.folder / "pictures", wanted, self.limit)


def _decoded(samples: Sequence[T], read: Callable[[T], R]) -> Iterator[R]:
    """Decode in order, a few at a time: Pillow lets go of the interpreter while it works."""
    workers = min(8, cpus.usable())
    with ThreadPoolExecutor(workers) as pool:
        for start in range(0, len(samples), 8 * workers):
            yield from pool.map(read, samples[start : start + 8 * workers])
