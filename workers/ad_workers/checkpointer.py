"""Turns a state and the points measured since the last time into a committed checkpoint."""

import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ad_platform.failpoints import Edge, reach
from ad_platform.specs import Json
from ad_platform.states import Directive
from ad_platform.storage.layout import checkpoint_prefix
from ad_platform.storage.metrics import Point, Segment, write_segment
from ad_workers.desk import CODES, Desk, Stop
from ad_workers.messages import CheckpointMade

AT_LEAST = 10.0  # seconds between two checkpoints
COST = 50.0  # a checkpoint may take this part of the time: 1/50


@dataclass
class Checkpointer:
    """Decides when a checkpoint is due and writes it: the segment of points, the files, the manifest."""

    desk: Desk
    save: Callable[[Path], None]  # writes the state into a folder
    meta: Callable[[], Mapping[str, Json]]  # what the manifest says besides step, of and segments
    every: int | None = None  # steps; None lets the cost decide
    clock: Callable[[], float] = time.monotonic
    committed: list[Segment] = field(default_factory=list)
    points: list[Point] = field(default_factory=list)  # measured, not committed yet

    def __post_init__(self) -> None:
        self._last = self.clock()
        self._cost = 0.0
        self._written = -1  # the step of this attempt's newest checkpoint

    def turn_to(
        self, save: Callable[[Path], None], meta: Callable[[], Mapping[str, Json]], every: int | None
    ) -> None:
        """Keep another state from here on; what it costs to write that is not known yet."""
        self.save, self.meta, self.every = save, meta, every
        self._last, self._cost = self.clock(), 0.0

    def add(self, step: int, metrics: Mapping[str, float]) -> None:
        """Remember what was measured at a step, with the time of now."""
        self.points.append(Point(step=step, time=time.time(), metrics=dict(metrics)))

    def due(self, step: int) -> bool:
        """Say whether it is time for a checkpoint."""
        if self.every:
            return step % self.every == 0
        return self.clock() - self._last >= max(AT_LEAST, COST * self._cost)

    def safe_point(self, step: int, of: int) -> None:
        """Write a checkpoint if it is due or ordered; raise Stop if there is an order to stop."""
        order = self.desk.listen()
        if order is Directive.DRAIN or (order is None and self.due(step)):
            self.write(step, of)
        if order is not None:
            raise Stop(CODES[order])

    def settle(self, step: int) -> None:
        """Commit what is not committed yet; a checkpoint is never written twice under one name."""
        if self._written != step:
            self.write(step, step)

    def write(self, step: int, of: int) -> None:
        """Write a checkpoint that can be resumed from once it is whole; raise DiskFull, StorageDown, Stop."""
        started = self.clock()
        desk, assignment = self.desk, self.desk.assignment
        folder = desk.scratch / "checkpoint"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        reach(Edge.SAVE)
        self.save(folder)
        reach(Edge.SAVED)
        desk.guard()
        if self.points:
            segment = write_segment(desk.storage, assignment.job_id, assignment.attempt, self.points)
            self.committed.append(segment)
            self.points.clear()
        prefix = checkpoint_prefix(assignment.job_id, step, assignment.attempt)
        meta: dict[str, Json] = {
            **self.meta(),
            "step": step,
            "of": of,
            "segments": [*map(Segment.to_json, self.committed)],
        }
        manifest = desk.storage.publish(prefix, folder, meta, desk.guard)
        reach(Edge.STORED)
        desk.guard()
        desk.say(
            CheckpointMade(step=step, prefix=prefix, manifest_sha256=manifest.sha256, size=manifest.size)
        )
        self._written = step
        self._last = self.clock()
        self._cost = self._last - started
