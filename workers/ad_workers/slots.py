"""The places a worker has for attempts: lease the best job, supervise it, free the place."""

import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ad_detectors import cpus
from ad_platform.errors import AdctlError
from ad_platform.failpoints import Edge, reach
from ad_platform.offers import CardNow
from ad_platform.records import Capabilities, Lease, Occupancy, Outcome, Room
from ad_platform.redaction import redacted
from ad_platform.results import selected_on
from ad_platform.settings import Settings
from ad_platform.specs import JobSpec
from ad_platform.states import AttemptOutcome, FailureClass, JobKind
from ad_platform.storage.contract import Storage
from ad_platform.storage.logs import LogWriter
from ad_platform.store.contract import Store
from ad_platform.structured_logs import about
from ad_workers.attempt_log import AttemptLog
from ad_workers.boottime import boottime
from ad_workers.gpu import Gpu
from ad_workers.ledger import Ledger
from ad_workers.messages import Assignment
from ad_workers.nursery import Nursery
from ad_workers.retention import retain_newest
from ad_workers.supervisor import Supervisor
from ad_workers.understanding import Understanding

log = logging.getLogger(__name__)

SOON = 30.0  # seconds; a job that ends by itself within these need make room for nobody


@dataclass
class Slots:
    """Runs at most one attempt per slot; `wake` is called by the queue, from as many threads as slots."""

    settings: Settings
    store: Store
    storage: Storage
    nursery: Nursery
    worker: str
    queues: frozenset[str]
    detectors: frozenset[str]
    devices: list[Gpu | None]
    grace: float  # seconds a draining child has for its checkpoint
    ended: Callable[[Lease], None] = lambda lease: None  # hears of every attempt that has ended
    draining: threading.Event = field(default_factory=threading.Event)
    running: dict[str, Supervisor] = field(default_factory=dict)
    ledger: Ledger = None  # type: ignore[assignment]  # of these devices, unless one is given
    understanding: Understanding = field(default_factory=Understanding)

    def __post_init__(self) -> None:
        self.ledger = self.ledger or Ledger(self.devices)
        self._one_at_a_time = threading.Lock()

    @property
    def idle(self) -> bool:
        """Whether a slot is free."""
        return self.ledger.idle

    def wake(self, hint: str, tell: Callable[[str], None] = lambda job_id: None) -> bool:
        """Lease the best job, see it through, and say whether there was one.

        `tell` hears the id of the job that was leased: it need not be the hinted one.
        """
        # Each lease offers all that is free, so no other may give any of it away meanwhile.
        with self._one_at_a_time:
            if self.draining.is_set() or not self.ledger.idle:
                return False
            before = boottime()
            cards = self.ledger.cards()
            lease = self.store.leases.lease(
                self._capabilities(cards), self.settings.lease, hint, self.understanding
            )
            if lease is None:
                return False
            slots = self.ledger.take(lease, cards)
        try:
            tell(lease.job_id)
            self._attempt(lease, slots, before + self.settings.lease)
        finally:
            self.ledger.give_back(lease)
        return True

    def make_room(self) -> None:
        """Have preemptible jobs asked to make room for more urgent ones, if there are any of both."""
        running = list(self.running.values())
        if self.draining.is_set() or not any(one.lease.job.preemptible for one in running):
            return
        for asked in self.store.leases.preempt(self._occupancy(running)):
            log.info("job %s is asked to make room for job %s", asked.victim, asked.by)

    def _occupancy(self, running: Sequence[Supervisor]) -> Occupancy:
        cards, held = self.ledger.cards(), self.ledger.held
        can = self._capabilities(cards)
        rooms = {card.uuid: card.room for card in cards}
        free = can.cards if cards else (Room(can.memory_mb),) * (len(self.devices) - len(held))
        asked = {one.lease.job_id: one.lease.job.memory_mb for one in running}
        return Occupancy(
            can=can,
            free=free,
            held={
                job_id: tuple(
                    rooms[slot.uuid] if slot else Room(can.memory_mb + asked.get(job_id, 0)) for slot in slots
                )
                for job_id, slots in held.items()
            },
            ending=frozenset(one.lease.job_id for one in running if one.ends_within(SOON)),
        )

    def kill(self) -> None:
        """Kill every child's process group; their supervisors give the jobs back."""
        for supervisor in list(self.running.values()):
            supervisor.child.kill()

    def _capabilities(self, cards: Sequence[CardNow]) -> Capabilities:
        free = self.ledger.rooms(cards)
        return Capabilities(
            worker=self.worker,
            node=self.settings.node,
            kinds=frozenset(JobKind),
            detectors=self.detectors,
            queues=self.queues,
            cards=free,
            whole=tuple(card.room for card in cards) if len(free) < len(cards) else (),
            memory_mb=self.ledger.memory_mb(),
            left=frozenset(self.understanding.left),
        )

    def _attempt(self, lease: Lease, slots: tuple[Gpu | None, ...], deadline: float) -> None:
        with about(job=lease.job_id, attempt=lease.attempt):
            self._make(lease, slots, deadline)

    def _make(self, lease: Lease, slots: tuple[Gpu | None, ...], deadline: float) -> None:
        try:
            supervisor = self._start(lease, slots, deadline)
        except (AdctlError, OSError) as error:  # no room for a folder, no more processes
            log.error("job %s could not be started: %s", lease.job_id, error)
            outcome = Outcome(
                outcome=AttemptOutcome.FAILED,
                failure=FailureClass.INFRA,
                error=redacted(f"could not start: {error}"),
            )
            self.store.leases.finish(lease, outcome)
            return
        self.running[lease.job_id] = supervisor
        log.info("job %s attempt %d starts", lease.job_id, lease.attempt)
        try:
            supervisor.run()
        finally:
            self.running.pop(lease.job_id, None)
            self.ended(lease)
        log.info("job %s attempt %d ended", lease.job_id, lease.attempt)

    def _start(self, lease: Lease, slots: tuple[Gpu | None, ...], deadline: float) -> Supervisor:
        mark = f"{lease.job_id}-a{lease.attempt}"
        scratch = self.settings.home / "scratch" / mark
        scratch.mkdir(parents=True, exist_ok=True)
        writer = LogWriter(self.storage, lease.job_id, lease.attempt)
        output = AttemptLog(self.settings.home / "logs" / "jobs" / f"{mark}.log", writer.append)
        assignment = self._assignment(lease, slots, deadline, scratch)
        reach(Edge.FORK)
        child = self.nursery.spawn(assignment, output.file)
        reach(Edge.FORKED)
        return Supervisor(
            store=self.store,
            lease=lease,
            child=child,
            scratch=scratch,
            log=output,
            deadline=deadline,
            grace=self.grace,
            draining=self.draining.is_set,
            time_left=lease.time_left,
            retain=lambda held: retain_newest(self.storage, self.store, held),
        )

    def _assignment(
        self, lease: Lease, slots: tuple[Gpu | None, ...], deadline: float, scratch: Path
    ) -> Assignment:
        settings, spec = self.settings, lease.job.spec
        lineage, (source, source_sha256) = self._lineage(lease), self._source(spec)
        return Assignment(
            job_id=lease.job_id,
            attempt=lease.attempt,
            kind=spec.kind.value,
            spec=spec.to_json(),
            data=self._data(spec),
            storage_url=settings.storage_url,
            scratch=str(scratch),
            cache=str(settings.home / "cache"),
            fingerprints=str(settings.home / "cache" / "fingerprints.json"),
            weights=str(settings.weights) if settings.weights else None,
            lineage=lineage,
            recorded={job_id: self._recorded(job_id) for job_id in lineage},
            source=source,
            source_sha256=source_sha256,
            threads=spec.threads or max(1, cpus.usable() * len(slots) // len(self.devices)),
            devices=tuple(slot for slot in slots if slot is not None),
            deadline=deadline,
            selected_on=selected_on(lease.job),
            batch_divisor=lease.job.batch_divisor,
            ranks=max(1, lease.job.gpus),
            pushed=self.store.pushed.get(spec.dataset.fingerprint) is not None,
            fetch_limit=settings.fetched,
            roots=settings.roots.folders,
        )

    def _data(self, spec: JobSpec) -> str:
        """Return this node's own copy of the dataset: the first of those known that it may read."""
        settings, data = self.settings, spec.dataset
        held = self.store.workers.holdings(node=settings.node, fingerprint=data.fingerprint)
        # A client may have noted a folder of its own; the one below ADCTL_DATA is still as good.
        below = settings.data_root / data.dataset / data.category
        known = [*(holding.path for holding in held), data.path, *([str(below)] if below.is_dir() else [])]
        return next((path for path in known if settings.roots.hold(path)), known[0])

    def _lineage(self, lease: Lease) -> tuple[str, ...]:
        """Return this job and those it retries: their checkpoints are its own."""
        lineage, origin = [lease.job_id], lease.job.retry_of
        while origin is not None:
            lineage.append(origin)
            origin = self.store.jobs.get(origin).retry_of
        return tuple(lineage)

    def _recorded(self, job_id: str) -> dict[str, str]:
        """Return the checkpoints of a job that the store knows, and the hash of each one's manifest."""
        known = self.store.artifacts.checkpoints(job_id)
        return {record.prefix: record.manifest_sha256 for record in known}

    def _source(self, spec: JobSpec) -> tuple[str | None, str | None]:
        """Return where the model to evaluate lies, and the hash of its manifest."""
        if spec.source is None:
            return None, None
        result = self.store.jobs.get(spec.source).result
        bundle, known = result.get("bundle"), result.get("manifest_sha256")
        return (str(bundle) if bundle else None), (str(known) if known else None)
