"""The files of a prediction: an overlay for each picture, and scores.csv, written when the rest is there."""

import csv
import errno
import io
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ad_detectors.data import decoding
from ad_detectors.report.overlay import overlay, write_png
from ad_platform.errors import DiskFull, InvalidRequest, Unavailable
from ad_workers.predicting.pictures import places
from ad_workers.predicting.wording import in_our_words

SCORES = "scores.csv"
COLUMNS = ("path", "score", "decision", "threshold", "overlay", "error")
LONGEST = 1024  # pixels of an overlay's longer side
NORMAL, ANOMALOUS, UNREADABLE = "normal", "anomalous", "unreadable"
_FULL = (errno.ENOSPC, errno.EDQUOT)


@dataclass(frozen=True, kw_only=True)
class Prediction:
    """What became of one picture."""

    path: Path
    score: float | None = None  # None: it could not be read or scored
    anomalous: bool | None = None  # None: there is no threshold
    overlay: Path | None = None
    error: str = ""  # why there is no score

    @property
    def decision(self) -> str:
        """Return normal or anomalous; unreadable without a score, and nothing without a threshold."""
        if self.error:
            return UNREADABLE
        return "" if self.anomalous is None else ANOMALOUS if self.anomalous else NORMAL


class Output:
    """A folder that is filled by one prediction; what another one wrote there is left alone."""

    def __init__(self, folder: Path, pictures: Sequence[Path], *, overwrite: bool = False) -> None:
        """Settle what each picture's overlay is called; raise InvalidRequest where files are in the way."""
        self.folder = folder
        self._targets = dict(zip(pictures, (folder / place for place in places(pictures)), strict=True))
        self._made: list[Path] = []  # files and folders, in the order they were made
        self._refuse_pictures(pictures)
        if not overwrite:
            self._refuse_other_files()

    def paint(self, picture: Path, anomaly_map: NDArray[np.float32], anchor: float) -> Path:
        """Write the overlay of a picture, in its own proportions, and return its path; raise DiskFull."""
        target = self._targets[picture]
        shown = _shown(picture)
        painted = overlay(shown, _at(anomaly_map, shown.shape[1], shown.shape[0]), anchor)
        with self._placing(target) as begun, in_our_words():
            write_png(begun, painted)
        return target

    def finish(self, predictions: Sequence[Prediction], threshold: float | None) -> Path:
        """Write the table of all pictures, last of all, and return where it lies; raise DiskFull."""
        target = self.folder / SCORES
        with self._placing(target) as begun:
            begun.write_text(table(predictions, threshold), newline="")
        return target

    def undo(self) -> None:
        """Remove what was written so far, and the folders made for it."""
        for path in reversed(self._made):
            with suppress(OSError):
                path.rmdir() if path.is_dir() else path.unlink()
        self._made.clear()

    @contextmanager
    def _placing(self, target: Path) -> Iterator[Path]:
        """Give a name to write to, and rename it into place: readers never see half a file."""
        begun = target.with_name(f".{target.name}.begun")
        try:
            self._make_folder(target.parent)
            new = not target.exists()
            yield begun
            begun.replace(target)
            if new:
                self._made.append(target)
        except OSError as error:
            words = f"cannot write {target}: {(error.strerror or str(error)).lower()}"
            if error.errno in _FULL:
                raise DiskFull(f"{words}; make room or choose another folder") from error
            raise Unavailable(f"{words}; choose another folder: --out DIR") from error
        finally:
            with suppress(OSError):
                begun.unlink()

    def _make_folder(self, folder: Path) -> None:
        missing = [path for path in (folder, *folder.parents) if not path.exists()]
        for path in reversed(missing):
            path.mkdir(exist_ok=True)
            self._made.append(path)

    def _refuse_pictures(self, pictures: Sequence[Path]) -> None:
        own = {os.path.realpath(picture) for picture in pictures}
        for target in self._targets.values():
            if os.path.realpath(target) in own:
                raise InvalidRequest(f"--out would replace the picture {target}; choose another folder")

    def _refuse_other_files(self) -> None:
        if self.folder.exists() and not self.folder.is_dir():
            raise InvalidRequest(f"--out {self.folder} is a file; name a folder")
        there = [path for path in (self.folder / SCORES, *self._targets.values()) if os.path.lexists(path)]
        if there:
            more = f" and {len(there) - 1} more files are" if len(there) > 1 else " is"
            raise InvalidRequest(
                f"{there[0]}{more} there already; choose another folder for --out, or add --overwrite"
            )


def table(predictions: Sequence[Prediction], threshold: float | None) -> str:
    """Return predictions as CSV, a line each below the header."""
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(_row(each, threshold) for each in predictions)
    return text.getvalue()


def _row(each: Prediction, threshold: float | None) -> Mapping[str, str]:
    return {
        "path": str(each.path),
        "score": "" if each.score is None else repr(each.score),
        "decision": each.decision,
        "threshold": "" if threshold is None else repr(threshold),
        "overlay": str(each.overlay or ""),
        "error": each.error,
    }


def _shown(picture: Path) -> NDArray[np.uint8]:  # (H, W, 3)
    """Decode a picture in its own proportions, no larger than an overlay is."""
    with in_our_words():
        pixels = decoding.picture(picture, None).transpose(1, 2, 0)
    image = Image.fromarray(np.ascontiguousarray(pixels))
    image.thumbnail((LONGEST, LONGEST), Image.Resampling.BILINEAR)
    return np.asarray(image)


def _at(anomaly_map: NDArray[np.float32], width: int, height: int) -> NDArray[np.float32]:  # (height, width)
    """Stretch a map; no value may leave its range, or a good part could show red by a rounding."""
    stretched = Image.fromarray(anomaly_map).resize((width, height), Image.Resampling.BILINEAR)
    within: NDArray[np.float32] = np.clip(np.asarray(stretched), anomaly_map.min(), anomaly_map.max())
    return within
