"""A split of a category as pixels: decoded and resized once, then read from a memory-mapped file."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import numpy as np
from numpy.typing import NDArray

from ad_detectors.data import decoding
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
    category: Category, size: int, cache: Path, fingerprint: str, holdout: Holdout = NONE
) -> CachedImages:
    """Return the normal pictures to learn from at size x size; raise DataError naming a bad file."""
    return _normal(category, size, cache, fingerprint, split(category.train, holdout).train)


def validation_images(
    category: Category, size: int, cache: Path, fingerprint: str, holdout: Holdout = NONE
) -> CachedImages:
    """Return the normal pictures by which settings are chosen; there may be none."""
    return _normal(category, size, cache, fingerprint, split(category.train, holdout).validation)


def calibration_images(
    category: Category, size: int, cache: Path, fingerprint: str, holdout: Holdout = NONE
) -> CachedImages:
    """Return the normal pictures by which thresholds are fixed; there may be none."""
    return _normal(category, size, cache, fingerprint, split(category.train, holdout).calibration)


def _normal(
    category: Category, size: int, cache: Path, fingerprint: str, part: Sequence[Sample]
) -> CachedImages:
    """Serve a part of the normal pictures from the one file that holds them all, whatever is held out."""
    rows = {sample.name: row for row, sample in enumerate(category.train)}
    pixels = _pixels(category.train, size, cache / fingerprint / "train")
    return CachedImages(part, pixels, [rows[sample.name] for sample in part])


def test_images(category: Category, size: int, cache: Path, fingerprint: str) -> TestImages:
    """Return the test pictures at size x size with labels and masks; raise DataError naming a bad file."""
    if not category.test:
        raise DataError(f"{category.path} has no test pictures; add test/good/ and test/<defect>/")
    samples = category.test
    pixels = _pixels(samples, size, cache / fingerprint / "test")

    def read(sample: Sample) -> NDArray[np.bool_]:
        if sample.mask is None:
            return np.zeros((size, size), dtype=np.bool_)
        return decoding.mask(sample.mask, size)

    path = _file(cache / fingerprint / "masks", samples, size)
    return TestImages(samples, pixels, _cached(path, samples, read, (size, size), np.dtype(np.bool_)))


test_images.__test__ = False  # type: ignore[attr-defined]  # nor is this a test


def _pixels(samples: Sequence[Sample], size: int, stem: Path) -> NDArray[np.uint8]:
    def read(sample: Sample) -> NDArray[np.uint8]:
        return decoding.picture(sample.path, size)

    return _cached(_file(stem, samples, size), samples, read, (3, size, size), np.dtype(np.uint8))


def _file(stem: Path, samples: Sequence[Sample], size: int) -> Path:
    # The fingerprint says what the files hold; a split may still be any choice of them.
    choice = hashlib.sha256("\n".join(sample.name for sample in samples).encode()).hexdigest()[:12]
    return stem.with_name(f"{stem.name}-{choice}-{size}-v{decoding.VERSION}.npy")


def _cached(
    path: Path,
    samples: Sequence[Sample],
    read: Callable[[Sample], NDArray[Kind]],
    shape: tuple[int, ...],
    dtype: np.dtype[Kind],
) -> NDArray[Kind]:
    """Map the file of these samples, making it first if it is missing or not whole."""
    whole = (len(samples), *shape)
    try:
        found = np.load(path, mmap_mode="r")
    except (OSError, ValueError, EOFError):
        found = None
    if found is None or found.shape != whole or found.dtype != dtype:
        _write(path, _decoded(samples, read), whole, dtype)
        found = np.load(path, mmap_mode="r")
    return found  # type: ignore[no-any-return]


def _decoded(samples: Sequence[T], read: Callable[[T], R]) -> Iterator[R]:
    """Decode in order, a few at a time: Pillow lets go of the interpreter while it works."""
    workers = min(8, os.cpu_count() or 1)
    with ThreadPoolExecutor(workers) as pool:
        for start in range(0, len(samples), 8 * workers):
            yield from pool.map(read, samples[start : start + 8 * workers])


def _write(
    path: Path,
    arrays: Iterator[NDArray[Kind]],
    shape: tuple[int, ...],
    dtype: np.dtype[Kind],
) -> None:
    """Write an array under a name of our own, then rename it: of two processes the last one wins, whole.

    Plain writes, not a writable map: on a full disk those raise, and a map kills the process.
    """
    header = {"descr": np.lib.format.dtype_to_descr(dtype), "fortran_order": False, "shape": shape}
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=path.parent, suffix=".tmp", delete=False) as file:
        temporary = Path(file.name)
        try:
            np.lib.format.write_array_header_1_0(file, header)
            for array in arrays:
                file.write(array.tobytes())
            file.flush()
            os.fsync(file.fileno())
            temporary.replace(path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
