"""Simulated workers, some to a process: all of a worker but Celery's loop, the zygote and the detector.

Slots, ledger, supervisor, ticker, store, outbox and rings are the ones a worker has, and so are the messages
in the broker. What is made up is the child: it reports steps and is done after a while, without a process.
"""

import ctypes
import multiprocessing
import random
import signal
import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from celery import Celery
from parts.crowd import DETECTORS, Crowd

from ad_platform import settings as environment
from ad_platform.errors import AdctlError
from ad_platform.queue.celery import CeleryQueue, make_app, own_queue, queue_name
from ad_platform.records import Holding, Lease, WorkerRecord
from ad_platform.storage.engine import open_storage
from ad_platform.store.engine import SqlStore, open_store
from ad_workers.messages import Assignment, Done, Report
from ad_workers.nursery import Child
from ad_workers.slots import Slots
from ad_workers.tick import Ticker

QUEUE = "fleet"
STEPS = 4  # that a made-up child reports
LONG = 3600.0
RESULT = {"metrics": {f"test/measure{n}": 0.9 for n in range(12)}, "bundle": "jobs/x/result/1"}
DATA = Crowd(jobs=1).data[:5]


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What a fleet is made of."""

    url: str
    broker: str
    home: Path
    workers: int
    processes: int
    work: float  # seconds that a job takes
    lease: float
    tick: float


class Script:
    """A link to nobody: what a child would say, when it would say it."""

    def __init__(self, work: float, child: "Callable[[], Child]") -> None:
        self._began, self._work, self._child = time.monotonic(), work, child
        self._said = 0
        self.closed = False

    def receive(self, timeout: float = 0.0) -> list[object]:
        """Return the steps that are due; the last one comes with the end of the child."""
        if self.closed:
            return []
        due = self._began + self._work * (self._said + 1) / STEPS
        time.sleep(max(0.0, min(timeout, due - time.monotonic())))
        if time.monotonic() < due:
            return []
        self._said += 1
        said: list[object] = [Report(step=self._said, of=STEPS, metrics={"loss": 1.0 / self._said})]
        if self._said == STEPS:
            said.append(Done(result=RESULT))
            self.end(0)
        return said

    def send(self, message: object, timeout: float = 5.0) -> None:
        """Hear an order or a deadline, and pay no heed."""

    def end(self, status: int) -> None:
        """Let the child have ended."""
        child = self._child()
        child.status = child.status if self.closed else status
        self.closed = True
        child.ended.set()

    def close(self) -> None:
        """Close."""
        self.closed = True


class Cradle:
    """A nursery whose children are scripts."""

    def __init__(self, work: float) -> None:
        self._work = work

    def spawn(self, assignment: Assignment, log_file: Path) -> Child:
        """Start a made-up child."""
        script = Script(self._work, lambda: child)
        child = Child(1, script, kill=lambda: script.end(-9), pid=1)  # type: ignore[arg-type]
        return child


@dataclass
class Calls:
    """How often the parts of the store were asked, and how long each took to answer."""

    spent: dict[str, list[float]] = field(default_factory=dict)

    def of(self, store: Any) -> Any:
        """Return the store, listened to."""
        return _Heard(store, "", self)

    def clear(self) -> None:
        """Forget."""
        self.spent.clear()


class _Heard:
    def __init__(self, real: Any, name: str, calls: Calls) -> None:
        self._real, self._name, self._calls = real, name, calls

    def __getattr__(self, name: str) -> Any:
        real = getattr(self._real, name)
        full = f"{self._name}.{name}".lstrip(".")
        if not callable(real):
            return _Heard(real, full, self._calls)

        def timed(*given: Any, **named: Any) -> Any:
            began = time.monotonic()
            try:
                return real(*given, **named)
            finally:
                self._calls.spent.setdefault(full, []).append(time.monotonic() - began)

        return timed


class Fleet:
    """Processes of workers that run until told to stop."""

    def __init__(self, plan: Plan) -> None:
        context = multiprocessing.get_context("fork")
        self._pipes: list[Connection] = []
        self.processes = []
        for number in range(plan.processes):
            ours, theirs = context.Pipe()
            names = [f"fleet-{n}" for n in range(number, plan.workers, plan.processes)]
            process = context.Process(target=_run, args=(plan, names, theirs), daemon=True)
            process.start()
            theirs.close()
            self._pipes.append(ours)
            self.processes.append(process)
        for pipe in self._pipes:
            pipe.recv()

    def forget(self) -> None:
        """Begin to count and time anew."""
        for pipe in self._pipes:
            pipe.send("forget")
        for pipe in self._pipes:
            pipe.recv()

    def stop(self) -> tuple[Mapping[str, list[float]], list[tuple[str, int]]]:
        """Stop, and return the seconds of each call to the store, and what was leased."""
        for pipe in self._pipes:
            pipe.send("stop")
        spent: dict[str, list[float]] = {}
        leased: list[tuple[str, int]] = []
        for pipe in self._pipes:
            calls, taken = pipe.recv()
            leased += taken
            for name, seconds in calls.items():
                spent.setdefault(name, []).extend(seconds)
        for process in self.processes:
            process.join()
        return spent, leased


def _run(plan: Plan, names: list[str], pipe: Connection) -> None:
    """Be some workers, no longer than whoever started them."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG
    stop, calls, leased = threading.Event(), Calls(), list[tuple[str, int]]()
    threads, store, app = [], _roomy(plan.url, 2 * len(names)), make_app(plan.broker)
    for name in names:
        worker = _Worker(plan, name, store, app, calls, leased, stop)
        threads += [threading.Thread(target=task) for task in (worker.listen, worker.tick)]
    for thread in threads:
        thread.start()
    pipe.send("ready")
    while pipe.recv() == "forget":
        calls.clear()
        pipe.send("forgotten")
    stop.set()
    for thread in threads:
        thread.join()
    pipe.send((calls.spent, leased))


def _roomy(url: str, connections: int) -> SqlStore:
    """Return a store for many workers, with as many connections as they would have one by one.

    They share what SQLAlchemy has compiled: each on its machine would have compiled it long ago.
    """
    store = open_store(url)
    pool: Any = store._db._own().pool
    pool._max_overflow += connections - pool._pool.maxsize
    pool._pool.maxsize = connections
    return store


class _Worker:
    """One worker with one slot."""

    def __init__(
        self,
        plan: Plan,
        name: str,
        real: SqlStore,
        app: Celery,
        calls: Calls,
        leased: list[tuple[str, int]],
        stop: threading.Event,
    ) -> None:
        self._plan, self._name, self._leased, self._stop, self._app = plan, name, leased, stop, app
        known = environment.load(
            {
                "ADCTL_HOME": str(plan.home),
                "ADCTL_DATABASE_URL": plan.url,
                "ADCTL_BROKER_URL": plan.broker,
                "ADCTL_NODE": name,
                "ADCTL_USER": "fleet",
                "ADCTL_LEASE": str(plan.lease),
            }
        )
        real.workers.hold([_holding(name, n) for n in range(len(DATA))])
        detectors = frozenset(DETECTORS)
        real.workers.register(
            WorkerRecord(
                id=name,
                node=name,
                pid=1,
                slots=1,
                queues=(QUEUE,),
                detectors=tuple(sorted(detectors)),
                facts={"devices": ["cpu"], "memory_mb": 64_000},
            )
        )
        store = calls.of(real)
        self._queue = CeleryQueue(plan.broker)
        self._slots = Slots(
            settings=known,
            store=store,
            storage=open_storage(known.storage_url),
            nursery=Cradle(plan.work),  # type: ignore[arg-type]
            worker=name,
            queues=frozenset({QUEUE}),
            detectors=detectors,
            devices=[None],
            grace=1.0,
            ended=self._ended,
        )
        self._ticker = Ticker(
            store=store,
            queue=self._queue,
            worker=name,
            silence=max(10.0, 2 * plan.tick),
            drain=lambda: None,
            idle=lambda: self._slots.idle,
            load=lambda: self._slots.ledger.load().to_json(),
            make_room=self._slots.make_room,
        )
        if hasattr(self._ticker, "turn"):  # a checkout before it had none
            self._ticker.turn = plan.tick / 2

    def listen(self) -> None:
        """Take one wake-up after the other, as a worker's task does."""
        with self._app.connection_for_read() as connection:
            labels = [queue_name(label) for label in (QUEUE, own_queue(self._name))]
            queues = [_queue(label) for label in labels]
            consumer = connection.Consumer(queues, callbacks=[self._heard], no_ack=True, accept=["json"])
            consumer.qos(prefetch_count=1)
            with consumer:
                while not self._stop.is_set():
                    try:
                        connection.drain_events(timeout=0.5)
                    except TimeoutError:
                        continue

    def _heard(self, body: Any, message: Any) -> None:
        if self._stop.is_set():
            return
        try:
            if self._slots.wake(body[0][0] if body[0] else ""):
                self._queue.ring("", own_queue(self._name), 0)
        except AdctlError as error:  # as a worker does: the next wake-up may fare better
            print(f"{self._name}: {error}", file=sys.stderr)

    def _ended(self, lease: Lease) -> None:
        self._leased.append((lease.job_id, lease.attempt))

    def tick(self) -> None:
        """Keep house, each worker at a moment of its own."""
        self._stop.wait(random.Random(self._name).uniform(0, self._plan.tick))
        self._ticker.run(self._plan.tick, self._stop)


def _queue(label: str) -> Any:
    from kombu import Exchange, Queue

    # As Celery makes a queue that it meets for the first time.
    return Queue(label, Exchange(label, "direct"), routing_key=label)


def _holding(node: str, number: int) -> Holding:
    one = DATA[number]
    return Holding(
        node=node, fingerprint=one.fingerprint, dataset=one.dataset, category=one.category, path="/"
    )
