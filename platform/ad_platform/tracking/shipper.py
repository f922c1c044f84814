"""Tells the tracking server what the store and the storage know: one run per job, one point per step."""

import logging
import tempfile
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Protocol

from ad_platform.curves import committed
from ad_platform.errors import Unavailable, UnknownName
from ad_platform.failpoints import Edge, reach
from ad_platform.job_report import PAGE
from ad_platform.records import Job, Shipment
from ad_platform.results import result_of
from ad_platform.states import JobKind
from ad_platform.storage.contract import Storage
from ad_platform.storage.metrics import Point
from ad_platform.store.contract import Store
from ad_platform.tracking import facts
from ad_platform.tracking.artifacts import collect
from ad_platform.tracking.protocol import Tracker

log = logging.getLogger(__name__)

CLAIM = 60.0  # seconds after which another shipper may take over from one that died
SETTLED = 60.0  # seconds after which a server has done, or never does, what one who gave up asked it for
MOST = 100  # jobs in one round


def no_parent(job: Job) -> str | None:
    """Say that a job belongs to nothing bigger."""
    del job
    return None


class Projection(Protocol):
    """Something else that the tracking server has to be told in each round, such as champions."""

    def __call__(self) -> int:
        """Bring the tracking server up to date; return how much was done; raise Unavailable."""


class Shipper:
    """Ships, claim by claim, what changed; whatever dies in between, doing it again changes nothing."""

    def __init__(
        self,
        store: Store,
        storage: Storage,
        tracker: Tracker,
        owner: str,
        projections: Sequence[Projection] = (),
        parent_of: Callable[[Job], str | None] = no_parent,
        page_of: Callable[[Job, Path], str] | None = None,
    ) -> None:
        """`parent_of` returns the run that a job's is shown below, made if need be, or None.

        `page_of` returns the page about an evaluation whose bundle lies in a folder.
        """
        self._store, self._storage, self._tracker = store, storage, tracker
        self._owner = owner
        self._projections, self._parent_of, self._page_of = projections, parent_of, page_of
        # Jobs whose every point this process has seen arrive: only these need no look at the run first.
        self._sure: dict[str, tuple[str, int]] = {}

    def once(self) -> int:
        """Ship what is due and return how many jobs, champions and studies that were.

        Never raises Unavailable: what could not be shipped is due again at once, in its turn, and a claim of
        one who died runs out by itself.
        """
        count = 0
        try:
            while count < MOST:
                claimed = self._store.shipments.claim(self._owner, CLAIM, limit=1)
                if not claimed:
                    break
                count += self._ship_or_leave(claimed[0])
            for projection in self._projections:
                count += projection()
        except Unavailable as error:
            log.warning("shipping waits: %s", error)
        return count

    def one(self, job_id: str) -> bool:
        """Ship one job; False if nothing of it is due, or somebody else ships it. Raises Unavailable."""
        claimed = self._store.shipments.claim(self._owner, CLAIM, limit=1, job_id=job_id)
        if claimed:
            self._ship(claimed[0])
        return bool(claimed)

    def _ship_or_leave(self, shipment: Shipment) -> int:
        try:
            self._ship(shipment)
        except Unavailable:
            self._sure.pop(shipment.job.id, None)
            self._store.shipments.release(shipment)  # an outage is to cost no minute more than it lasts
            raise
        except Exception:  # one strange job must not keep the others from being shown
            self._sure.pop(shipment.job.id, None)
            log.exception("job %s could not be shipped; trying again later", shipment.job.id)
        return 1

    def _ship(self, shipment: Shipment) -> None:
        job = shipment.job
        if job.started_at is None and not job.state.terminal:
            # A run keeps the start it was made with, so it is made when there is one.
            self._store.shipments.done(shipment, shipment.run_id or "", shipment.shipped_step)
            return
        reach(Edge.SHIP)
        parent = self._parent_of(job)
        run_id = self._tracker.ensure_run(job, shipment.run_id)
        shipped = shipment.shipped_step if run_id == shipment.run_id else 0
        self._tracker.log_params(run_id, facts.params(job))
        self._tracker.log_input(run_id, job)
        curve = committed(self._store, self._storage, job.id, shipped)
        self._log_points(run_id, job, shipped, curve.points)
        reach(Edge.POINTS)
        tags = facts.tags(job, self._store.jobs.attempts(job.id))
        if parent is not None:
            tags[facts.PARENT_TAG] = parent
        problems = self._finish(run_id, job) if job.state.terminal else list(curve.problems)
        if problems:
            tags[facts.PROBLEM_TAG] = "; ".join(problems)
        self._tracker.log_tags(run_id, tags)
        # Steps that cannot be read may be measured again, from the checkpoint before them on.
        last = max(shipped, curve.whole)
        # One who died or gave up may have asked for a run that comes later than this one: look again then.
        doubtful = shipment.left_undone and run_id != shipment.run_id
        self._store.shipments.done(shipment, run_id, last, SETTLED if doubtful else None)
        self._sure.pop(job.id, None)
        if curve.whole == curve.last and not job.state.terminal:
            self._sure[job.id] = (run_id, last)

    def _log_points(self, run_id: str, job: Job, shipped: int, points: Sequence[Point]) -> None:
        """Add points, leaving out the steps an earlier shipper sent before it died.

        Their times may differ from those of a later attempt, and would then count as second points.
        """
        if not points:
            return
        if self._sure.get(job.id) != (run_id, shipped):
            points = unseen(points, self._tracker.steps(run_id))
        self._tracker.log_points(run_id, points)

    def _finish(self, run_id: str, job: Job) -> list[str]:
        """Add what there is only at the end: results, files, the final state. Return what was broken."""
        ended = job.finished_at or facts.started_at(job)
        shown = self._tracker.steps(run_id)
        metrics = {name: value for name, value in result_of(job).metrics.items() if name not in shown}
        if metrics:
            self._tracker.log_points(run_id, [Point(step=0, time=ended, metrics=metrics)])
        with tempfile.TemporaryDirectory(prefix="adctl-ship-") as name:
            curve = committed(self._store, self._storage, job.id)
            problems = [*curve.problems, *collect(job, curve.points, self._storage, Path(name))]
            problems += self._write_page(job, Path(name))
            self._tracker.log_artifacts(run_id, Path(name))
        reach(Edge.FILES)
        self._tracker.end_run(run_id, facts.RUN_STATES[job.state], ended)
        return problems

    def _write_page(self, job: Job, folder: Path) -> list[str]:
        """Write the page about an evaluation among its files, and among those of the fit it speaks for."""
        results = folder / "results"
        if self._page_of is None or job.kind is not JobKind.EVALUATE or not results.is_dir():
            return []
        try:
            page = self._page_of(job, results)
        except Unavailable:
            raise
        except Exception as error:  # the outermost edge: a page that cannot be made must not keep a run open
            log.exception("no page could be made about job %s", job.id)
            return [f"no {PAGE} could be made: {error}"]
        (folder / PAGE).write_text(page, encoding="utf-8")
        fit = self._store.shipments.run_of(job.spec.source) if job.spec.source else None
        if fit is not None and self._own(job):
            with tempfile.TemporaryDirectory(prefix="adctl-ship-") as name:
                (Path(name) / PAGE).write_text(page, encoding="utf-8")
                self._tracker.log_artifacts(fit, Path(name))
        return []

    def _own(self, evaluation: Job) -> bool:
        """Say whether an evaluation is of the images that the detector was fitted to."""
        try:
            fit = self._store.jobs.get(evaluation.spec.source or "")
        except UnknownName:
            return False
        return fit.spec.dataset.fingerprint == evaluation.spec.dataset.fingerprint


def unseen(points: Sequence[Point], shown: Mapping[str, Collection[int]]) -> list[Point]:
    """Return points without the values that a run already shows at their step."""
    fresh: list[Point] = []
    for point in points:
        metrics = {
            name: value for name, value in point.metrics.items() if point.step not in shown.get(name, ())
        }
        if metrics:
            fresh.append(Point(step=point.step, time=point.time, metrics=metrics))
    return fresh
