"""The files of a prediction: what is drawn of each picture, and a table, written when the rest is there."""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ad_platform.errors import InvalidRequest
from ad_workers.predicting import rows
from ad_workers.predicting.drawing import draw
from ad_workers.predicting.pictures import Picture
from ad_workers.predicting.places import Makes, Places, of_each
from ad_workers.predicting.rows import CSV, TABLES, Prediction
from ad_workers.predicting.writing import placing

USUAL = Makes()


class Output:
    """A folder that is filled by one prediction; what another one wrote there is left alone."""

    def __init__(
        self,
        folder: Path,
        pictures: Sequence[Picture],
        makes: Makes = USUAL,
        *,
        form: str = CSV,
        overwrite: bool = False,
    ) -> None:
        """Settle what each picture's files are called; raise InvalidRequest where files are in the way."""
        self.folder, self.makes, self.form = folder, makes, form
        self._places = dict(zip(pictures, of_each([each.file for each in pictures], makes), strict=True))
        self._made: list[Path] = []  # files and folders, in the order they were made
        self._refuse_pictures(pictures)
        if not overwrite:
            self._refuse_other_files()

    @property
    def table(self) -> Path:
        """Return where the table of all pictures will lie."""
        return self.folder / TABLES[self.form]

    def draw(self, picture: Picture, anomaly_map: NDArray[np.float32], threshold: float | None) -> Places:
        """Write what is wanted of a picture, and return where it lies; raise InvalidData, DiskFull."""
        known = self._places[picture]
        there = Places(
            overlay=self.folder / known.overlay if known.overlay else None,
            mask=self.folder / known.mask if known.mask and threshold is not None else None,
            map=self.folder / known.map if known.map else None,
        )
        draw(picture.file, anomaly_map, threshold, there, self._placing)
        return there

    def finish(self, predictions: Sequence[Prediction], threshold: float | None) -> Path:
        """Write the table of all pictures, last of all, and return where it lies; raise DiskFull."""
        with self._placing(self.table) as begun, begun.open("wb") as file:
            file.writelines(rows.table(predictions, threshold, self.form))
        return self.table

    def undo(self) -> None:
        """Remove what was written so far, and the folders made for it."""
        for path in reversed(self._made):
            with suppress(OSError):
                path.rmdir() if path.is_dir() else path.unlink()
        self._made.clear()

    @contextmanager
    def _placing(self, target: Path) -> Iterator[Path]:
        """Give a name to write to, rename it into place, and remember what was not there before."""
        folders = [path for path in (target.parent, *target.parent.parents) if not path.exists()]
        new = not target.exists()
        with placing(target) as begun:
            self._made += reversed(folders)
            yield begun
        if new:
            self._made.append(target)

    def _refuse_pictures(self, pictures: Sequence[Picture]) -> None:
        if not self.folder.exists():
            return
        own = {os.path.realpath(picture.file) for picture in pictures}
        for place in (place for places in self._places.values() for place in places.all):
            if os.path.realpath(self.folder / place) in own:
                raise InvalidRequest(
                    f"--out would replace the picture {self.folder / place}; choose another folder"
                )

    def _refuse_other_files(self) -> None:
        if self.folder.exists() and not self.folder.is_dir():
            raise InvalidRequest(f"--out {self.folder} is a file; name a folder")
        if not self.folder.exists():
            return
        drawn = (self.folder / place for places in self._places.values() for place in places.all)
        there = [path for path in (self.table, *drawn) if os.path.lexists(path)]
        if there:
            more = f" and {len(there) - 1} more files are" if len(there) > 1 else " is"
            raise InvalidRequest(
                f"{there[0]}{more} there already; choose another folder for --out, or add --overwrite"
            )
