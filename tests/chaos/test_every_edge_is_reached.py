"""Every failpoint lies where the program comes along: a whole life of jobs reaches each, by its name."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

import moving_home
from ad_migrations import upgrade
from ad_migrations.moving import running
from ad_migrations.moving.places import Target
from ad_platform import failpoints
from ad_platform import settings as environment
from ad_platform.pictures.fetched import FetchedSets
from ad_platform.pictures.fetching import Fetcher
from ad_platform.pictures.sets import read_set
from ad_platform.queue.memory import MemoryQueue
from ad_platform.records import Capabilities, Champion, Job, Occupancy, Room
from ad_platform.registry.projection import Projection
from ad_platform.registry.promotion import promote
from ad_platform.retention.collecting import Collector
from ad_platform.retention.facts import Rules
from ad_platform.states import JobState
from ad_platform.storage.engine import open_storage
from ad_platform.sweeps.moving import make_tables
from ad_platform.sweeps.optuna_study import close_storage
from ad_platform.tracking.memory import MemoryTracker
from ad_platform.tracking.shipper import Shipper
from clientkit import Bench
from ground import Ground
from job_stories import Stories
from sweepkit import SPACE, Field

pytestmark = pytest.mark.timeout(240)
EVERYDAY = "embedded"
DETECTORS = frozenset({"troublesome"})

HARSH = Rules(older_than=0.0, keep_last=0, grace=0.0, resumable=0.0)


class Registry:
    """A registry of models that remembers what it was told."""

    def __init__(self) -> None:
        self.versions: list[Champion] = []
        self.alias: str | None = None

    def version_of(self, champion: Champion) -> str | None:
        return None

    def register(self, champion: Champion, job: Job, bundle: Path, run_id: str | None) -> str:
        self.versions.append(champion)
        return str(len(self.versions))

    def alias_of(self, champion: Champion) -> str | None:
        return self.alias

    def set_alias(self, champion: Champion, version: str) -> None:
        self.alias = version

    def tidy(self, champion: Champion, version: str) -> None:
        pass


@pytest.fixture
def traced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Give a file to which this process and a worker with the same trap write the edges they reach."""
    file = tmp_path / "reached"
    monkeypatch.setenv(failpoints.VARIABLE, f"*:trace={file}")
    failpoints._armed.cache_clear()
    yield file
    monkeypatch.delenv(failpoints.VARIABLE)
    failpoints._armed.cache_clear()


def test_a_whole_life_reaches_every_edge_and_none_that_is_not_listed(
    land: Ground, traced: Path, tmp_path: Path
) -> None:
    lives: list[Callable[[], None]] = [
        lambda: worked(land, f"*:trace={traced}"),
        lambda: overtaken(land),
        lambda: searched(land),
        lambda: thrown_away(land),
        lambda: shown(Stories(tmp_path)),
        lambda: uploaded(tmp_path),
        lambda: sent_and_fetched(land, tmp_path),
        lambda: moved(land, tmp_path / "moving"),
    ]
    for live in lives:
        live()
    reached = set(traced.read_text().split())
    assert sorted(set(failpoints.EDGES) - reached) == []
    assert reached == set(failpoints.EDGES)


def worked(land: Ground, trap: str) -> None:
    """Fit, with checkpoints of which the oldest go; cancel, retry, and give back what a worker leaves."""
    worker = land.platform.start_worker(slots=2, trap=trap)
    assert land.ended(land.submit(steps=8)).state is JobState.SUCCEEDED
    unwanted, kept = (land.submit(steps=400, pause=0.05) for _ in range(2))
    land.reaches(kept, 2)
    land.client.cancel(unwanted)
    assert land.ended(unwanted).state is JobState.CANCELLED
    worker.terminate()
    assert worker.wait(30) == 0
    assert land.outcomes(kept) == ["given_back"]
    land.client.cancel(kept)
    land.client.cancel(land.client.retry(unwanted).jobs[0])


def overtaken(land: Ground) -> None:
    """Have a job taken back from one who died, and not want it any more; remind of one nobody heard of."""
    store = land.client.store
    job = land.submit(steps=8)
    able = Capabilities(worker="mortal", node="here", detectors=DETECTORS)
    lease = store.leases.lease(able, 0.01, job)
    assert lease is not None
    assert lease.job_id == job
    land.platform.wait(store.leases.reap, "it is taken back", 10)
    assert store.jobs.prune(job).state is JobState.CANCELLED
    _preempted(land)
    unheard = land.submit(steps=8)  # its ring was made, and nobody is there to hear it
    land.platform.wait(lambda: store.outbox.remind(0.0), "it is owed again", 10)
    store.jobs.cancel(unheard)


def _preempted(land: Ground) -> None:
    """Have a job asked to make room for a more urgent one."""
    store, able = land.client.store, Capabilities(worker="full", node="here", detectors=DETECTORS)
    kept = land.client.plan_train(land.asked(land.pictures(), settings={"steps": 8}))[0]
    (low,) = store.jobs.submit([replace(kept, preemptible=True)])
    lease = store.leases.lease(able, 60, low.id)
    assert lease is not None
    (high,) = store.jobs.submit([replace(kept, priority=9)])
    occupancy = Occupancy(can=able, free=(), held={low.id: (Room(1000),)})
    assert [one.by for one in store.leases.preempt(occupancy)] == [high.id]
    for job in (low, high):
        store.jobs.cancel(job.id)
    store.leases.give_back(lease, "preempted", preempted=True)


def searched(land: Ground) -> None:
    """Sweep, with jobs done by a formula."""
    field = Field(Bench(land.client, land.client.store, MemoryQueue(), land.platform.home))
    field.run(field.submit(*SPACE, trials=2, sampler="random"))
    for storage in field.opened:
        close_storage(storage)


def thrown_away(land: Ground) -> None:
    """Collect what nothing needs, and bring it back."""
    store = land.client.store
    for shipment in store.shipments.claim("a test", 5, 100):
        store.shipments.done(shipment, "run", 0)
    collector = Collector(store, land.storage, land.platform.settings)
    assert collector.collect(HARSH).thrown
    assert collector.restore().entries


def shown(stories: Stories) -> None:
    """Promote a model, and tell the tracking server and the registry of models of it."""
    promote(stories.store, stories.storage, stories.trained(), "champion", "ann")
    projection = Projection(stories.store, stories.storage, Registry())
    assert Shipper(stories.store, stories.storage, MemoryTracker(), "me", [projection]).once() >= 3
    stories.store.close()


def sent_and_fetched(land: Ground, folder: Path) -> None:
    """Push pictures, fetch them as a machine without them would, and want neither any more."""
    data = land.asked(land.pictures()).dataset
    land.client.push(data)
    pictures = read_set(land.storage, data.fingerprint)
    assert pictures is not None
    sets = FetchedSets(folder / "fetched", 10**8)
    Fetcher(sets, land.storage).fetch(data.fingerprint, pictures.files)
    assert sets.evict(data.fingerprint)
    assert land.client.unpush(data.fingerprint)


def moved(land: Ground, folder: Path) -> None:
    """Move an installation, to files here as to a cluster, and bring it back."""
    home = moving_home.make(folder / "home", runs=False)
    database = f"sqlite:///{folder / 'there.db'}"
    upgrade(database)
    told = {"ADCTL_HOME": str(home.folder), "ADCTL_DATABASE_URL": database}
    told |= {"ADCTL_STORAGE_URL": str(folder / "there"), "ADCTL_BROKER_URL": land.broker.url}
    target = Target(settings=environment.load(told), mlflow_database="", named=folder / "owner.env")
    make_tables(target.settings)
    running.run(home.settings, target, folder / "copy", lambda words: None)
    running.restore(home.folder, folder / "copy", home.settings, lambda words: None)


def uploaded(folder: Path) -> None:
    """Publish a bundle in a storage that is no folder."""
    (folder / "bundle" / "more").mkdir(parents=True, exist_ok=True)
    (folder / "bundle" / "more" / "state").write_text("whole")
    open_storage("memory://edges").publish("a/bundle", folder / "bundle")
