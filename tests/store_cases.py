"""A clock that tests move, and short ways to ask the store for things."""

from dataclasses import dataclass, replace

from sqlalchemy import ColumnElement, Double, literal

from ad_platform.records import Capabilities, Holding, Job, Lease, Outcome, Room, WorkerRecord
from ad_platform.specs import DatasetRef, JobSpec, Submission
from ad_platform.states import AttemptOutcome, FailureClass, JobKind
from ad_platform.store.contract import Store

MINUTE = 60.0
START = 1_800_000_000.0
SPEC = JobSpec(
    kind=JobKind.TRAIN,
    detector="ddad",
    dataset=DatasetRef(dataset="mvtec", category="bottle", fingerprint="f1", path="/data/bottle"),
    config={"epochs": 3, "w": 0.5},
)
CAN = Capabilities(
    worker="w1",
    node="n1",
    detectors=frozenset({"ddad"}),
    cards=(Room(1000), Room(1000)),
    memory_mb=1000,
)
SUCCESS = Outcome(outcome=AttemptOutcome.SUCCEEDED, result={"auroc": 0.9})
CANCELLED = Outcome(outcome=AttemptOutcome.CANCELLED)


@dataclass
class FakeClock:
    """The database's clock, standing still until it is moved."""

    now: float = START

    def __call__(self) -> ColumnElement[float]:
        return literal(self.now, Double)

    def advance(self, seconds: float) -> None:
        self.now += seconds


def asked(**values: object) -> Submission:
    """Return a submission that differs from the plain one in these fields."""
    return replace(Submission(spec=SPEC, user="ann"), **values)  # type: ignore[arg-type]


def failed(failure: FailureClass = FailureClass.CRASH, error: str = "it broke") -> Outcome:
    """Return the outcome of an attempt that failed."""
    return Outcome(outcome=AttemptOutcome.FAILED, failure=failure, error=error)


def worker(name: str, node: str = "n1") -> WorkerRecord:
    """Return a worker that starts."""
    return WorkerRecord(id=name, node=node, pid=1, slots=1, detectors=("ddad",), facts={"cpu": 2})


def holding(node: str = "n1", fingerprint: str = "f1", path: str = "/data/bottle") -> Holding:
    """Return the holding of the plain submission's data."""
    return Holding(node=node, fingerprint=fingerprint, dataset="mvtec", category="bottle", path=path)


def submit(store: Store, **values: object) -> Job:
    """Submit one job."""
    return store.jobs.submit([asked(**values)])[0]


def take(store: Store, name: str = "w1", seconds: float = MINUTE, hint: str | None = None) -> Lease:
    """Lease what must be there for the taking."""
    lease = store.leases.lease(replace(CAN, worker=name), seconds, hint)
    assert lease is not None, "nothing to lease"
    return lease
