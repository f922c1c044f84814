"""What a worker does: hold slots, listen for wake-ups, keep house, and leave in good order."""

import logging
import os
import platform
import signal
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from types import FrameType
from typing import Any

import psutil
from celery.apps.worker import Worker as CeleryWorker
from celery.platforms import EX_FAILURE, SecurityWarning
from celery.worker import state as celery_state
from filelock import FileLock, Timeout

from ad_detectors import registry
from ad_platform import cores, failpoints, structured_logs
from ad_platform.benchmarks.benchmark_spec import BENCHMARK_TAG
from ad_platform.code_version import package_version
from ad_platform.devices import Devices
from ad_platform.errors import AdctlError, Conflict
from ad_platform.queue.celery import CeleryQueue, make_app, own_queue, queue_name
from ad_platform.queue.doorbell import Doorbell
from ad_platform.queue.protocol import WAKE
from ad_platform.queue.relay import relay
from ad_platform.records import Lease, WorkerRecord
from ad_platform.settings import Settings
from ad_platform.stack.places import make_own
from ad_platform.storage.engine import open_storage
from ad_platform.store.contract import Store
from ad_platform.store.engine import open_store
from ad_platform.store.revision import HEAD
from ad_platform.sweeps.work import SWEEP_TAG
from ad_workers import describing
from ad_workers.boottime import boottime
from ad_workers.card_claims import Claims
from ad_workers.companions import shipper, sweeper
from ad_workers.gpu import Gpu, assign
from ad_workers.hearing import Careful, hint_of
from ad_workers.holdings import advertise
from ad_workers.keeper import bury_orphans, tell_keeper
from ad_workers.machine import look
from ad_workers.metrics import WorkerCollector, serve, uses
from ad_workers.nursery import Nursery
from ad_workers.slots import Slots
from ad_workers.tick import Ticker

log = logging.getLogger(__name__)

LEAVE = 0.3, 4.0  # the part of the grace, and the seconds at least, that the worker needs to leave itself
CELERY = 2.0  # seconds Celery has to end after the last attempt
EXIT = 0.5  # seconds this process has to end by itself once all is done
MISMATCH = 5  # the exit code of a store that is not for this program any more, as of the command line


def start(
    settings: Settings,
    *,
    slots: int | None = None,
    queues: tuple[str, ...] = ("default",),
    name: str = "",
    drained: int = os.EX_OK,
    metrics: tuple[str, int] | None = None,
    registered: Callable[[WorkerRecord], None] = lambda record: None,
) -> int:
    """Run a worker until it is told to end, and return its exit code: `drained` if it was told by the store.

    `metrics` is the address and port at which it answers Prometheus.
    Raises InvalidValue for more slots than GPUs, Conflict for a name or card in use, StoreDown,
    StoreMismatch.
    """
    structured_logs.configure("%(asctime)s %(levelname)s %(name)s: %(message)s", level=logging.WARNING)
    # On our own logger: Celery gives the root logger its level.
    logging.getLogger("ad_workers").setLevel(logging.INFO)
    # Celery warns root of pickled messages; ours are JSON that names a job.
    warnings.filterwarnings("ignore", category=SecurityWarning)
    cores.leave_none()
    for armed in failpoints.armed_by(os.environ):
        log.warning("a test's trap is armed: %s does %s at %s", failpoints.VARIABLE, armed.action, armed.name)
    machine = look()
    for card in machine.devices.cards:
        if card.problem:
            log.warning("%s cannot be used: %s", card.name, card.problem)
    slots_on, claims = assign(machine.gpus, slots), Claims()
    if machine.gpus:
        slots_on = [*claims.take(machine.gpus, slots)]
    store = open_store(settings.database_url)
    worker_id, lock = _identity(settings, name)
    structured_logs.always(worker=worker_id, node=settings.node)
    try:
        worker = Worker(settings, store, worker_id, frozenset(queues), slots_on, machine.devices, drained)
        worker.obey_signals()
        if metrics is not None:
            serve(worker.collector(), metrics[1], metrics[0])
        return worker.run(registered)
    finally:
        store.close()
        lock.release()
        claims.close()


def _identity(settings: Settings, name: str) -> tuple[str, FileLock]:
    """Return an id no other living worker of this node has, and the lock that keeps it so.

    The same few ids come back after every restart, so queues and rows of dead workers do not pile up.
    """
    folder = settings.home / "workers"
    folder.mkdir(parents=True, exist_ok=True)
    candidates = [name] if name else [f"{settings.node}-{number}" for number in range(1, 1000)]
    for candidate in candidates:
        lock = FileLock(folder / f"{candidate}.lock")
        try:
            lock.acquire(timeout=0)
        except Timeout:
            continue
        return candidate, lock
    raise Conflict(f"a worker named '{candidates[0]}' runs already on {settings.node}; give another --name")


@dataclass
class Worker:
    """One worker process: torch-free, one thread per slot, children in processes of their own."""

    settings: Settings
    store: Store
    id: str
    queues: frozenset[str]
    devices: list[Gpu | None]
    machine: Devices = field(default_factory=Devices)
    drained: int = os.EX_OK  # the exit code when the store told it to leave
    stopping: threading.Event = field(default_factory=threading.Event)
    left: threading.Event = field(default_factory=threading.Event)
    never: threading.Event = field(default_factory=threading.Event)  # waiting for it passes time

    def __post_init__(self) -> None:
        settings = self.settings
        self.nursery = Nursery()
        self.shipper, self.sweeper = shipper(), sweeper()
        self.slots = Slots(
            settings=settings,
            store=self.store,
            storage=open_storage(settings.storage_url),
            nursery=self.nursery,
            worker=self.id,
            queues=self.queues,
            detectors=frozenset(registry.names()) - frozenset(registry.broken()),
            devices=self.devices,
            grace=checkpoint_within(settings.grace),
            ended=self._ended,
        )
        self.code = os.EX_OK
        self.leave_by = float("inf")  # boottime, once it is draining
        self.queue = CeleryQueue(settings.broker_url)
        self.ticker = Ticker(
            store=self.store,
            queue=self.queue,
            worker=self.id,
            silence=max(10.0, 2 * settings.tick),
            drain=self.dismiss,
            idle=lambda: self.slots.idle,
            sweep=self.sweeper.want,
            load=lambda: {**self.slots.ledger.load().to_json(), **self.slots.understanding.to_json()},
            make_room=self.slots.make_room,
            turn=settings.tick / 2,
            back=self._come_back,
            outgrown=self.outgrown,
        )

    def run(self, registered: Callable[[WorkerRecord], None] = lambda record: None) -> int:
        """Serve until drained, then leave; the code is not 0 if the listener broke."""
        registered(self._register())
        for task in (self._tick, lambda: advertise(self.store, self.settings, self.stopping)):
            threading.Thread(target=task, daemon=True).start()
        if os.getpid() == 1:
            threading.Thread(target=bury_orphans, args=(self.stopping,), daemon=True).start()
        with self._doorbell():
            try:
                tell_keeper("READY=1", f"STATUS={self.id} is online")
                self._listen()
            finally:
                self.drain()
                self._leave()
        return self.code

    def collector(self) -> WorkerCollector:
        """Return what tells Prometheus of this worker."""
        cards = [gpu.uuid for gpu in self.devices if gpu is not None]
        return WorkerCollector(len(self.devices), lambda: len(self.slots.running), lambda: uses(cards))

    @contextmanager
    def _doorbell(self) -> Iterator[None]:
        """Make the rings that clients of this machine owe; without a place for the socket, they ring."""
        try:
            make_own(self.settings.run_dir)
            bell = Doorbell(self.settings, self.id, self._knocked)
        except (AdctlError, OSError) as error:
            log.warning("no doorbell: %s", error)
            yield
            return
        with closing(bell):
            yield

    def _knocked(self) -> None:
        """Make the rings that a client owes, and have a sweep or benchmark of its taken further at once."""
        if self.store.studies.to_advance() or self.store.benchmarks.to_follow():
            self.sweeper.want()
            self.sweeper.poke()
        relay(self.store.outbox, self.queue)

    def dismiss(self) -> None:
        """Drain since the store says so: whoever started this worker may want to know."""
        if not self.slots.draining.is_set():
            self.code = self.drained
        self.drain()

    def outgrown(self, error: AdctlError) -> None:
        """Drain since the store is for newer programs by now: whoever started this worker may start one."""
        if not self.slots.draining.is_set():
            log.error("%s; this worker gives back what it runs, and leaves", error)
            self.code = MISMATCH
        self.drain()

    def drain(self) -> None:
        """Stop leasing and have every attempt give its job back; calling it again changes nothing."""
        if self.slots.draining.is_set():
            return
        log.info("draining: %d attempts are asked to give their jobs back", len(self.slots.running))
        tell_keeper("STOPPING=1", "STATUS=gives back what it runs")
        self.leave_by = boottime() + max(EXIT, self.settings.grace - EXIT)
        self.slots.draining.set()
        celery_state.should_stop = os.EX_OK
        threading.Thread(target=self._leave_even_if_celery_hangs, daemon=True).start()

    def signalled(self, number: int, frame: FrameType | None) -> None:
        """Drain at the first signal, kill the attempts at the second."""
        if self.slots.draining.is_set():
            # Celery's thread pool would take a second SIGTERM for another warm shutdown.
            log.warning("told to leave a second time: %d attempts are killed", len(self.slots.running))
            self.leave_by = min(self.leave_by, boottime() + CELERY)
            self.slots.kill()
        self.drain()

    def obey_signals(self) -> None:
        """Be told to leave by signals from now on."""
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT):
            signal.signal(number, self.signalled)

    def broke(self) -> None:
        """Leave with an error, so that whoever started this worker starts it again."""
        log.error("the listener broke: what lies in the broker may be no message of ours")
        self.code = os.EX_SOFTWARE
        self.drain()

    def _listen(self) -> None:
        app = make_app(self.settings.broker_url)
        slots = self.slots

        @app.task(name=WAKE, bind=True)  # type: ignore[untyped-decorator]
        def wake(task: Any, hint: object = "", *_: object, **__: object) -> None:
            try:
                if slots.wake(hint_of(hint), lambda leased: _show(task.request.id, leased)):
                    # Wake-ups may have been lost while it ran: go on to the next job by oneself.
                    self.queue.ring("", own_queue(self.id), 0)
            except AdctlError as error:
                log.error("%s", error)

        labels = [*sorted(self.queues), own_queue(self.id)]
        worker = _Listener(
            app=app,
            hostname=f"{self.id}@{self.settings.node}",
            pool_cls="threads",
            concurrency=len(self.devices),
            queues=[queue_name(label) for label in labels],
            loglevel="WARNING",
            without_gossip=True,
            without_mingle=True,
            quiet=True,
            consumer_cls=Careful,
        )
        worker.obey_signals, worker.broke = self.obey_signals, self.broke
        worker.start()

    def _ended(self, lease: Lease) -> None:
        """Have a sweep or benchmark taken further as soon as something of it has ended."""
        if lease.job.tags.get(SWEEP_TAG) or lease.job.tags.get(BENCHMARK_TAG):
            self.sweeper.want()
            self.sweeper.poke()

    def _tick(self) -> None:
        self.ticker.run(self.settings.tick, self.stopping)

    def _come_back(self) -> None:
        """Register again, unless this worker is about to leave: somebody took its silence for its end."""
        if not self.slots.draining.is_set():
            log.warning("counted as gone; registering again")
            self._register()

    def _register(self) -> WorkerRecord:
        record = WorkerRecord(
            id=self.id,
            node=self.settings.node,
            pid=os.getpid(),
            slots=len(self.devices),
            queues=tuple(sorted(self.queues)),
            detectors=tuple(sorted(self.slots.detectors)),
            facts={
                "devices": [gpu.name if gpu else "cpu" for gpu in self.devices],
                "memory_mb": psutil.virtual_memory().total >> 20,
                "adctl": package_version(),
                "schema": HEAD,
                "python": platform.python_version(),
                **self.machine.to_json(),
            },
            load=self.slots.ledger.load().to_json(),
        )
        self.store.workers.publish(describing.entries(), self.id)
        self.store.workers.register(record)
        return record

    def _leave(self) -> None:
        self.stopping.set()
        self.nursery.close()
        try:
            self.store.workers.leave(self.id)
        except AdctlError as error:
            log.warning("%s", error)
        self.sweeper.close(2.0)
        self.shipper.close(max(1.0, self.leave_by - boottime()))
        log.info("worker %s has left", self.id)
        self.left.set()

    def _leave_even_if_celery_hangs(self) -> None:
        """End the process in time, though Celery may be waiting for a dead broker, or a thread for a disk."""
        while self.slots.running and boottime() < self.leave_by:
            self.never.wait(0.1)
        self.slots.kill()
        while self.slots.running and boottime() < self.leave_by + self.settings.lease:
            self.never.wait(0.1)  # the store is told that the jobs are free
        if not self.stopping.wait(CELERY):
            self._leave()
            os._exit(self.code)
        self.left.wait(max(CELERY, self.leave_by - boottime()))
        self.never.wait(EXIT)  # nothing is lost by now, whatever a thread still waits for
        os._exit(self.code)


class _Listener(CeleryWorker):  # type: ignore[misc]
    """Celery's worker with our answer to signals, and to what it cannot go on from."""

    obey_signals: Any = None
    broke: Any = None

    def stop(self, in_sighandler: bool = False, exitcode: int | None = None) -> None:
        """Have the attempts given back first: Celery would wait for them, deaf."""
        if exitcode == EX_FAILURE:
            self.broke()
        super().stop(in_sighandler=in_sighandler, exitcode=exitcode)

    def install_platform_tweaks(self, worker: Any) -> None:
        """Install our signal handlers where Celery would install its own."""
        self.obey_signals()


def checkpoint_within(grace: float) -> float:
    """Return the seconds of a worker's grace that a draining child has; the rest is for the worker itself."""
    part, least = LEAVE
    return max(grace / 2, grace - max(part * grace, least))


def _show(request_id: str, job_id: str) -> None:
    """Let `celery inspect active` and Flower show the job that was leased, not the one that was hinted."""
    # By its id: going through the active ones fails when Celery's own thread adds another meanwhile.
    request = celery_state.requests.get(request_id)
    if request is not None:
        request._args, request._argsrepr = [job_id], repr((job_id,))
