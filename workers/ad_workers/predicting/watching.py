"""Score the pictures that come into a folder, each finished one once, whatever ends and starts in between."""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from filelock import FileLock, Timeout
from numpy.typing import NDArray

from ad_platform.errors import AdctlError, Conflict, InvalidRequest
from ad_workers.predicting.drawing import draw
from ad_workers.predicting.journal import NAME, Entry, Journal, stamp_of
from ad_workers.predicting.pictures import Picture
from ad_workers.predicting.places import Makes, Places, by_name, no_masks
from ad_workers.predicting.rows import CSV, Prediction
from ad_workers.predicting.scoring import Loaded
from ad_workers.predicting.settling import Eye, Finished, Watched
from ad_workers.predicting.writing import placing, trouble

LOCK = ".watch.lock"  # in the folder of results: one watch fills it at a time
SHARE = 5.0  # a look may take this part of the time: 1/5
LOOKS = 4  # in the time that a file settles


class Watch:
    """Scores what comes into a folder; its memory grows by some 200 bytes for each file ever seen."""

    def __init__(
        self,
        loaded: Loaded,
        watched: Watched,
        out: Path,
        makes: Makes,
        *,
        form: str,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Take the folder of results, and read what was scored before; raise Conflict, InvalidRequest."""
        self.loaded, self.watched, self.out = loaded, watched, out
        self._makes, self._clock = makes, clock
        if makes.masks and loaded.threshold.point is None:
            raise InvalidRequest(no_masks(loaded.threshold.source))
        self._lock = _taken(out)
        try:
            self.journal = Journal(out, table=form == CSV)
        except BaseException:
            self._lock.release()
            raise
        self._eye = Eye(watched.folder, watched.settle, self.journal.known)
        self._files: dict[str, Finished] = {}
        self.trouble = ""  # why the folder cannot be looked at now

    @property
    def waiting(self) -> int:
        """Return how many files were seen that are not finished or not scored yet."""
        return self._eye.waiting

    @property
    def words(self) -> str:
        """Say what is watched, and what of it was scored before."""
        known = len(self.journal.known)
        before = f"; {known} scored before" if known else ""
        return f"watching {self.watched.folder}: results go to {self.out / NAME}{before}"

    @property
    def warnings(self) -> list[str]:
        """Say what a person would not expect."""
        last, now = self.journal.last_model, self.loaded.model.words
        if last in ("", now):
            return self.loaded.warnings
        return [*self.loaded.warnings, f"what was scored before was so by {last}; it is not scored again"]

    def results(self, stop: threading.Event) -> Iterator[list[Entry]]:
        """Yield results as they are made, each one on the disk by then, until told to stop.

        A list may be empty: it says that somebody looked. Raises DiskFull and Unavailable where a result
        cannot be written; all that were yielded are kept, and the next watch goes on behind them.
        """
        while not stop.is_set():
            began = self._clock()
            ready = self._look(began)
            took = self._clock() - began
            yield []
            for entries in self._scored(ready):
                yield entries
                if stop.is_set():
                    return
            if not ready:
                stop.wait(max(self.watched.settle / LOOKS, SHARE * took))

    def close(self) -> None:
        """Let go of the folder of results."""
        self.journal.close()
        self._lock.release()

    def _look(self, now: float) -> list[Finished]:
        try:
            found = self._eye.look(now)
        except OSError as error:  # a share may come back
            self.trouble = f"cannot read {self.watched.folder}: {(error.strerror or str(error)).lower()}"
            return []
        self.trouble = ""
        return found

    def _scored(self, ready: list[Finished]) -> Iterator[list[Entry]]:
        self._files = {file.path: file for file in ready}
        pictures = [Picture.at(Path(file.path)) for file in ready]
        for batch in self.loaded.predictions(pictures, self._draw if self._makes.any else None):
            found = [self._entry(self._files[each.path], each) for each in batch]
            entries = [entry for entry in found if entry is not None]
            if entries:
                self.journal.add(entries)
            for entry in entries:
                self._eye.done(self._files[entry.prediction.path])
            yield entries

    def _draw(self, picture: Picture, anomaly_map: NDArray[np.float32], threshold: float | None) -> Places:
        known = by_name(picture.file.name, self._makes)
        there = Places(
            overlay=self.out / known.overlay if known.overlay else None,
            mask=self.out / known.mask if known.mask and threshold is not None else None,
            map=self.out / known.map if known.map else None,
        )
        draw(picture.file, anomaly_map, threshold, there, placing)
        return there

    def _entry(self, file: Finished, prediction: Prediction) -> Entry | None:
        """Return what is to be remembered of a file; None where it is to be looked at again, or never."""
        sha256 = ""
        try:
            if not prediction.error:  # what is broken may be huge, and is not worth reading once more
                with open(file.path, "rb") as content:  # noqa: PTH123
                    sha256 = hashlib.file_digest(content, "sha256").hexdigest()
            if stamp_of(Path(file.path).stat()) != file.stamp:
                return None  # it was not finished after all: the next look begins anew
        except FileNotFoundError:
            self._eye.done(file)
            return None
        except OSError as error:
            words = (error.strerror or str(error)).lower()
            prediction = Prediction(path=file.path, error=f"cannot read picture {file.path}: {words}")
        if self.journal.known.same(file.path, sha256):  # touched, or written again just as it was
            self.journal.known.add(file.path, file.stamp, sha256)
            self._eye.done(file)
            return None
        if prediction.error and file.tries < self.watched.retries:
            self._eye.failed(file, self._clock())
            return None
        return Entry(
            prediction=prediction,
            threshold=self.loaded.cut,
            model=self.loaded.model.words,
            at=datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            stamp=file.stamp,
            sha256=sha256,
        )


def _taken(folder: Path) -> FileLock:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder / LOCK)
        lock.acquire(timeout=0)
    except Timeout as error:
        raise Conflict(f"another watch fills {folder}; end it first, or choose another folder") from error
    except OSError as error:
        raise _no_folder(folder, error) from error
    return lock


def _no_folder(folder: Path, error: OSError) -> AdctlError:
    if isinstance(error, FileExistsError | NotADirectoryError):
        return InvalidRequest(f"--out {folder} is a file; name a folder")
    return trouble(folder, error)
