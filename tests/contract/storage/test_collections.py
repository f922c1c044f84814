"""A collection, a restore and an emptying on every kind of storage: to the byte, and nothing left over."""

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest

import ad_migrations
from ad_platform.retention.facts import DAY, Rules
from ad_platform.storage.bundles import BundleStorage
from ad_platform.storage.contract import Storage
from ad_platform.storage.folder import FolderBlobs
from ad_platform.store.engine import open_store
from contract.storage.faults import Died, FaultyBlobs
from histories import History
from store_cases import FakeClock

RULES = Rules(older_than=DAY, keep_last=0)


@pytest.fixture(scope="module")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    file = tmp_path_factory.mktemp("store") / "store.db"
    ad_migrations.upgrade(f"sqlite:///{file}")
    return file.read_bytes()


@pytest.fixture
def history(storage: Storage, migrated: bytes, tmp_path: Path) -> Iterator[History]:
    """One champion and one training that nobody needs, both long ago by the store's clock."""
    (tmp_path / "store.db").write_bytes(migrated)
    clock = FakeClock()
    store = open_store(f"sqlite:///{tmp_path / 'store.db'}", clock=clock)
    assert isinstance(storage, BundleStorage)
    made = History(store, clock, storage._blobs, tmp_path)
    for promoted in (True, False):
        made.train()
        lease = made.lease()
        assert lease is not None
        made.work(lease)
        job = made.succeed(lease, [made.stage(lease)])
        if promoted:
            made.promote(job)
    made.blobs.put("jobs/" + job.id + "/results/a7/v-ab/half", b"half")
    made.shipped()
    clock.now += 400 * DAY  # the files have the time of the machine
    yield made
    store.close()


def contents(storage: Storage, prefix: str = "") -> dict[str, str]:
    """Return every file that lies in its place, by its hash."""
    found = {file.path: storage.read(file.path) for file in storage.survey(prefix)}
    return {
        path: hashlib.sha256(content or b"").hexdigest()
        for path, content in found.items()
        if not path.startswith("trash/") and not path.endswith("curve.json")
    }


def test_what_is_taken_comes_back_to_the_byte(history: History) -> None:
    storage, before = history.storage, contents(history.storage)
    (champion,) = history.store.champions.history()
    done = history.collector.collect(RULES)
    after = contents(storage)
    kept, lost = f"jobs/{champion.job_id}/model/", set(before) - set(after)
    assert {path for path in before if path.startswith(kept)} <= set(after)
    assert 0 < len(after) < len(before)
    assert sum(len(entry.paths) for entry in done.thrown) == len(lost)
    assert history.collector.collect(RULES).thrown == ()
    if isinstance(history.blobs, FolderBlobs):  # no empty folder of a job stays behind
        assert storage.remains("jobs") == [f"jobs/{champion.job_id}"]
    history.collector.restore()
    assert contents(storage) == before
    assert storage.survey("trash") == []


def test_an_emptied_trash_leaves_nothing_but_what_is_needed(history: History) -> None:
    history.collector.collect(RULES)
    placed = contents(history.storage)
    history.collector.empty()
    assert history.storage.survey("trash") == []
    assert contents(history.storage) == placed


@pytest.mark.parametrize("write", [3, 9])
def test_a_disk_that_fills_or_a_death_in_the_midst_loses_nothing(history: History, write: int) -> None:
    before = contents(history.storage)
    dying = History(history.store, history.clock, FaultyBlobs(history.blobs, die_at=write), history.home)
    with pytest.raises(Died):
        dying.collector.collect(RULES)
    history.collector.collect(RULES)
    history.collector.restore()
    assert contents(history.storage) == before
