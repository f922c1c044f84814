"""Predictions that leave a job shard by shard: drawn pictures first, then their rows, whole or not there."""

import json
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ad_platform.storage.contract import Storage
from ad_platform.storage.layout import drawn_prefix, part_prefix
from ad_platform.storage.parts import ROWS, Use, rows_of
from ad_workers.desk import Desk
from ad_workers.predicting import rows
from ad_workers.predicting.drawing import draw
from ad_workers.predicting.pictures import Picture
from ad_workers.predicting.places import Makes, Places, of_each
from ad_workers.predicting.rows import Prediction
from ad_workers.predicting.writing import placing

AT_LEAST = 10.0  # seconds between two shards
COST = 50.0  # publishing a shard may take this part of the time: 1/50
LOSS = 100.0  # and a death may cost this part of what was done: 1/100, so that days do not leave thousands
MOST = 1000  # pictures of a shard


class Shards:
    """Collects predictions in the order of their pictures, and publishes those that are ripe."""

    def __init__(
        self,
        desk: Desk,
        pictures: Sequence[Picture],
        makes: Makes,
        *,
        first: int,
        most: int | None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Begin at picture number `first`, with so many pictures to a shard; None lets the cost decide."""
        self._desk, self._most, self._clock = desk, most, clock
        self._places: dict[Picture, Places] = {}
        if makes.any:
            found = of_each([picture.file for picture in pictures], makes)
            self._places = dict(zip(pictures, found, strict=True))
        self._drawn = desk.scratch / "drawn"
        self._rows: list[Prediction] = []
        self._first = first
        self._begun = self._last = clock()
        self._cost = 0.0

    @property
    def place(self) -> int:
        """Return the number of the first picture that was not added yet."""
        return self._first + len(self._rows)

    @property
    def due(self) -> bool:
        """Whether it is time to publish."""
        if self._most is not None:
            return len(self._rows) >= self._most
        now = self._clock()
        wait = max(AT_LEAST, COST * self._cost, (self._last - self._begun) / LOSS)
        return len(self._rows) >= MOST or now - self._last >= wait

    def add(self, batch: Sequence[Prediction]) -> None:
        """Take the predictions of the next pictures."""
        self._rows += batch

    def draw(self, picture: Picture, anomaly_map: NDArray[np.float32], threshold: float | None) -> Places:
        """Write what is wanted of a picture into the shard; return where it lies below the folder of all."""
        known = self._places[picture]
        places = known if threshold is not None else Places(overlay=known.overlay, map=known.map)
        here = Places(
            overlay=self._drawn / places.overlay if places.overlay else None,
            mask=self._drawn / places.mask if places.mask else None,
            map=self._drawn / places.map if places.map else None,
        )
        draw(picture.file, anomaly_map, threshold, here, placing)
        return places

    def publish(self) -> None:
        """Publish what was added since the last time; raise Stop(LOST) if the lease is over, StorageDown."""
        if not self._rows:
            return
        started, desk, job = self._clock(), self._desk, self._desk.assignment.job_id
        count, meta = len(self._rows), {"job": job}
        folder = desk.scratch / "part"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        with (folder / ROWS).open("w") as file:
            file.writelines(f"{json.dumps(each.to_json())}\n" for each in self._rows)
        if self._drawn.is_dir():  # first: where there is a row, there is what was drawn
            desk.guard()
            desk.storage.publish(drawn_prefix(job, self._first, count), self._drawn, meta, desk.guard)
        desk.guard()
        desk.storage.publish(part_prefix(job, self._first, count), folder, meta, desk.guard)
        shutil.rmtree(self._drawn, ignore_errors=True)
        self._first += count
        self._rows.clear()
        self._last = self._clock()
        self._cost = self._last - started


def write_tables(
    storage: Storage, uses: Sequence[Use], folder: Path, threshold: float | None
) -> dict[str, int]:
    """Write the tables of all pictures into a folder, part by part, and return how many were decided how."""
    counts = dict.fromkeys((rows.NORMAL, rows.ANOMALOUS, rows.UNREADABLE), 0)

    def counted() -> Iterator[Prediction]:
        for use in uses:
            for line in rows_of(storage, use, folder):
                each = Prediction.from_json(json.loads(line))
                if each.decision:
                    counts[each.decision] += 1
                yield each

    with (folder / rows.TABLES[rows.CSV]).open("wb") as file:
        file.writelines(rows.table(counted(), threshold, rows.CSV))
    return counts
