"""A home with jobs, sweeps and a benchmark, and how a mistaken call of adctl is checked against it."""

import shlex
import shutil
import sqlite3
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from ad_platform.benchmarks.benchmark_spec import BenchmarkSpec, Contender, Place
from ad_platform.records import Benchmark, Capabilities, Holding, Job, Lease, Outcome, WorkerRecord
from ad_platform.specs import DatasetRef, JobSpec, Json, Submission
from ad_platform.states import AttemptOutcome, FailureClass, JobKind, StudyState, TrialState
from ad_platform.storage import open_storage
from ad_platform.storage.layout import model_prefix
from ad_platform.store.engine import SqlStore, open_store
from clientkit import ENTRY, make_category, migrated
from sweep_stories import Sweep

# Jobs by what has become of them. Two ids begin alike.
TRAINED, TRAINED_TOO, EVALUATION = "aaaa000000000001", "aaaa000000000002", "eeee000000000001"
FAILED, CANCELLED, RUNNING, QUEUED = (letter * 4 + "000000000001" for letter in "fcdb")
TRIALS = tuple(f"7777{number:012}" for number in range(1, 4))
# Sweeps: one that runs, one that ended with two objectives, one that was cancelled, one that is paused.
SWEEPS = {
    "night": "5555000000000001",
    "two": "5555000000000002",
    "gone": "5e00000000000001",
    "held": "5f00000000000001",
}
BENCHMARK = "be00000000000001"  # named tables, with nothing in it
TABLES = (
    *("jobs", "attempts", "edges", "events", "outbox", "champions", "holdings", "studies", "trials"),
    "benchmarks",
)
CONFIG: dict[str, Json] = dict(ENTRY["presets"]["tiny"])  # type: ignore[index]


@dataclass(frozen=True)
class Desk:
    """Where a mistake is made: a home, and folders of pictures, good and bad."""

    home: Path
    images: Path

    @property
    def places(self) -> dict[str, str]:
        """Return what the calls of the table may name."""
        return {
            "home": str(self.home),
            "images": str(self.images),
            "screw": str(self.images / "parts" / "screw"),
            "parts": str(self.images / "parts"),
            "missing": str(self.images / "missing"),
            "empty": str(self.images / "empty"),
            "file": str(self.images / "notes.txt"),
            "out": str(self.images / "out"),
            "job": TRAINED,
            "evaluation": EVALUATION,
            "failed": FAILED,
            "cancelled": CANCELLED,
            "running": RUNNING,
            "queued": QUEUED,
            "trial": TRIALS[1],
        }


@dataclass(frozen=True)
class Mistake:
    """One call that cannot be done: what is typed, how it ends, and words that must be in the one line."""

    call: str  # as typed, with {places}
    code: int
    says: tuple[str, ...]
    before: Callable[[Desk], None] | None = None
    env: Mapping[str, str] = field(default_factory=dict)

    def argv(self, desk: Desk) -> list[str]:
        """Return the arguments, with the places in them."""
        return [word.format_map(desk.places) for word in shlex.split(self.call)]


def m(call: str, code: int, *says: str, before: Callable[[Desk], None] | None = None, **env: str) -> Mistake:
    """Write one row of the table."""
    return Mistake(call, code, says, before, env)


def make_template(folder: Path) -> Path:
    """Return a store with one job of every kind in it, and sweeps."""
    file = migrated(folder)
    ids = iter([*TRIALS, TRAINED, EVALUATION, TRAINED_TOO, FAILED, CANCELLED, RUNNING, QUEUED])
    store = open_store(f"sqlite:///{file}", new_id=lambda: next(ids))
    (folder / "model").mkdir()
    (folder / "model" / "config.json").write_text("{}")
    prefix = model_prefix(TRAINED, 1)
    manifest = open_storage(str(folder / "storage")).publish(prefix, folder / "model")
    try:
        _fill(store, {"bundle": prefix, "manifest_sha256": manifest.sha256, "metrics": {"loss": 0.5}})
    finally:
        store.close()
    with closing(sqlite3.connect(file)) as connection, connection:
        connection.execute("DELETE FROM outbox")  # every worker has heard of every job
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return file


def make_desk(template: Path, folder: Path) -> Desk:
    """Return a fresh home with the store, and the folders."""
    desk = Desk(folder / "home", folder / "images")
    desk.home.mkdir(mode=0o700)
    (desk.home / "store.db").write_bytes(template.read_bytes())
    shutil.copytree(template.parent / "storage", desk.home / "storage")
    make_category(desk.images)
    (desk.images / "empty").mkdir()
    (desk.images / "notes.txt").write_text("no picture\n")
    return desk


def state_of(desk: Desk) -> tuple[object, ...]:
    """Return all that a mistake must leave as it is: the rows of the store and every file around it."""
    rows: list[object] = []
    file = desk.home / "store.db"
    if file.is_file():
        with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True)) as connection:
            try:
                rows = [connection.execute(f'SELECT * FROM "{table}"').fetchall() for table in TABLES]
            except sqlite3.DatabaseError as error:
                rows = [str(error)]
    roots = [root for root in (desk.home, desk.images) if root.is_dir()]
    files = {str(path) for root in roots for path in root.rglob("*")}
    return (rows, sorted(name for name in files if not _scratch(Path(name))))


def _scratch(path: Path) -> bool:
    """Say whether a file is SQLite's own, a lock, or a cache that holds nothing but fingerprints."""
    return (
        path.suffix == ".lock"
        or path.name.startswith("store.db-")
        or "cache" in (path.name, path.parent.name)
    )


def problems(row: Mistake, code: int, out: str, err: str) -> list[str]:
    """Return every way in which a call falls short of one clear sentence."""
    errors = [line for line in err.splitlines() if line.startswith("error: ")]
    found = []
    if code != row.code:
        found.append(f"it ended with {code}, not {row.code}")
    if len(errors) != 1:
        found.append(f"there are {len(errors)} error lines")
    found += [f"it does not say {word!r}" for word in row.says if not any(word in line for line in errors)]
    found += [f"it shows {word!r}" for word in ("Traceback", "fault of adctl") if word in err + out]
    if out:
        found.append(f"it writes to stdout: {out[:200]!r}")
    if any(len(line) > 500 for line in errors):
        found.append("the line is longer than anyone reads")
    return found


def _fill(store: SqlStore, fitted: dict[str, Json]) -> None:
    store.workers.publish({"toy": ENTRY}, "w0")
    store.workers.register(
        WorkerRecord(id="w1", node="here", pid=1, slots=1, detectors=("toy",), state="online")
    )
    data = DatasetRef(dataset="parts", category="screw", fingerprint="f1", path="/data/parts/screw")
    store.workers.hold(
        [Holding(node="here", fingerprint="f1", dataset="parts", category="screw", path=data.path)]
    )
    _fill_sweeps(store, data)
    spec = BenchmarkSpec(
        models=(Contender(label="toy", detector="toy", preset="tiny"),),
        categories=(Place(label="screw", data=data),),
        seeds=(0,),
        cells=(),
    )
    store.benchmarks.create(Benchmark(id=BENCHMARK, name="tables", spec=spec.to_json(), user="kim"), [])
    wanted = JobSpec(kind=JobKind.TRAIN, detector="toy", dataset=data, config=CONFIG, preset="tiny")
    trained = _submit(store, Submission(spec=wanted, user="kim"))
    _end(store, Outcome(outcome=AttemptOutcome.SUCCEEDED, result=fitted))
    evaluation = JobSpec(
        kind=JobKind.EVALUATE, detector="toy", dataset=data, config=CONFIG, preset="tiny", source=trained.id
    )
    _submit(store, Submission(spec=evaluation, user="kim", needs=(trained.id,)))
    _end(store, Outcome(outcome=AttemptOutcome.FAILED, failure=FailureClass.DATA, error="no test images"))
    for outcome in (
        Outcome(outcome=AttemptOutcome.SUCCEEDED, result={"metrics": {"loss": 0.4}}),
        Outcome(outcome=AttemptOutcome.FAILED, failure=FailureClass.NAN, error="the loss is nan"),
    ):
        _submit(store, Submission(spec=wanted, user="kim", max_attempts=1))
        _end(store, outcome)
    store.jobs.cancel(_submit(store, Submission(spec=wanted, user="kim")).id)
    _submit(store, Submission(spec=wanted, user="kim"))
    _lease(store)
    _submit(store, Submission(spec=wanted, user="kim", queue="elsewhere"))


def _fill_sweeps(store: SqlStore, data: DatasetRef) -> None:
    """Put sweeps into the store, of which only the one that runs has trials that failed."""
    point: dict[str, Json] = {"lr": 0.01, "image_size": 16, "mode": "mean"}
    night = Sweep.of(store, "night", id=SWEEPS["night"], wanted=4, data=data)
    night.tried(point, 0.9)
    night.tried(point, state=TrialState.FAILED, error="the loss is nan")
    two = Sweep.of(
        store, "two", id=SWEEPS["two"], data=data, objectives=("validation/image_auroc", "latency_ms")
    )
    two.tried(point, 0.9, 12.0)
    two.finish(number=0)
    for name, state in (("gone", StudyState.STOPPED), ("held", StudyState.PAUSED)):
        sweep = Sweep.of(store, name, id=SWEEPS[name], data=data)
        store.studies.steer(sweep.study.id, state=state)


def _submit(store: SqlStore, submission: Submission) -> Job:
    return store.jobs.submit([submission])[0]


def _lease(store: SqlStore) -> Lease:
    able = Capabilities(worker="w1", node="here", detectors=frozenset({"toy"}))
    lease = store.leases.lease(able, 1e9)
    assert lease is not None
    return lease


def _end(store: SqlStore, outcome: Outcome) -> None:
    store.leases.finish(_lease(store), outcome)
