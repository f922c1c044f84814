"""Pushed pictures stay while something needs them or until they are old, and never go from under a job."""

import hashlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from ad_platform import datasets
from ad_platform import settings as environment
from ad_platform.pictures.pushing import Pusher, PushResult
from ad_platform.records import Capabilities
from ad_platform.retention.collecting import Collection
from ad_platform.retention.facts import DAY, Rules
from ad_platform.specs import DatasetRef
from ad_platform.states import JobKind
from ad_platform.storage.layout import blob_path, set_path
from ad_platform.storage.listings import Listing
from histories import History
from store_cases import CAN

OLD = Rules(older_than=30 * DAY, keep_last=0)


def push(history: History, folder: Path, **files: bytes) -> DatasetRef:
    for name, content in files.items():
        file = folder / "parts" / "nut" / "train" / "good" / f"{name}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
    settings = environment.load({"ADCTL_HOME": str(folder), "ADCTL_NODE": "n1", "ADCTL_USER": "kim"})
    ref = datasets.open_folder(settings, folder / "parts" / "nut").ref
    Pusher(history.store, history.storage, settings).category(ref)
    return ref


def submit(history: History, ref: DatasetRef) -> str:
    return history.submit(replace(history.spec(JobKind.TRAIN), dataset=ref)).id


def blob(content: bytes) -> str:
    return blob_path(hashlib.sha256(content).hexdigest())


def there(history: History, *contents: bytes) -> list[bool]:
    return [history.storage.read(blob(content)) is not None for content in contents]


def test_without_an_age_what_was_pushed_stays_and_with_one_it_goes_unless_needed(
    history: History, tmp_path: Path
) -> None:
    first = push(history, tmp_path, a=b"a", b=b"b")
    second = push(history, tmp_path, c=b"c")  # a, b and c: a set that shares two files
    history.clock.now += 10 * DAY
    submit(history, second)
    history.clock.now += 40 * DAY
    assert not history.collector.collect(Rules()).thrown

    done = history.collector.collect(OLD)
    assert [entry.place for entry in done.thrown] == [f"data/sets/{first.fingerprint}"]
    assert there(history, b"a", b"b", b"c") == [True, True, True]
    assert [note.fingerprint for note in history.store.pushed.all()] == [second.fingerprint]
    chains = {each.unit.prefix: each.because for each in history.collector.look(OLD).plan.kept}
    assert "reads them" in chains[blob(b"a")][0]


def test_all_of_a_set_goes_and_comes_back_and_workers_fetch_it_again(
    history: History, tmp_path: Path
) -> None:
    ref = push(history, tmp_path, a=b"a", b=b"b")
    history.clock.now += 40 * DAY
    history.collector.collect(OLD)
    assert there(history, b"a", b"b") == [False, False]
    assert history.storage.read(set_path(ref.fingerprint)) is None
    assert history.store.pushed.all() == []

    history.collector.restore([f"data/sets/{ref.fingerprint}"])
    assert there(history, b"a", b"b") == [True, True]
    assert [note.fingerprint for note in history.store.pushed.all()] == [ref.fingerprint]
    history.clock.now += 2 * DAY
    assert not history.collector.collect(OLD).thrown  # it was somebody's wish
    assert [note.fingerprint for note in history.store.pushed.all()] == [ref.fingerprint]


def test_files_of_no_set_go_once_a_push_would_have_ended(history: History) -> None:
    history.storage.write(blob(b"left"), b"left")
    assert not history.collector.collect(Rules()).thrown
    history.clock.now += 2 * DAY
    assert history.collector.collect(Rules()).thrown
    assert there(history, b"left") == [False]


def test_a_list_that_cannot_be_read_keeps_every_file(history: History, tmp_path: Path) -> None:
    ref = push(history, tmp_path, a=b"a")
    history.storage.write(set_path(ref.fingerprint), b"{")
    history.storage.write(blob(b"left"), b"left")
    history.clock.now += 2 * DAY
    assert not history.collector.collect(Rules()).thrown


def test_what_was_pushed_through_another_store_is_left_alone(history: History, tmp_path: Path) -> None:
    ref = push(history, tmp_path, a=b"a")
    history.store.pushed.forget(ref.fingerprint)
    listed = history.storage.read(set_path(ref.fingerprint))
    assert listed is not None
    mine = history.store.retention.identity().encode()
    history.storage.write(set_path(ref.fingerprint), listed.replace(mine, b"0" * len(mine)))
    history.clock.now += 400 * DAY
    assert not history.collector.collect(OLD).thrown
    history.storage.write(set_path(ref.fingerprint), listed)
    history.clock.now += 2 * DAY
    assert history.collector.collect(OLD).thrown


@pytest.mark.parametrize("step", range(12))
def test_a_job_or_a_push_in_the_midst_of_a_collection_finds_its_pictures_or_pushes_them_anew(
    history: History, tmp_path: Path, step: int
) -> None:
    ref = push(history, tmp_path, a=b"a", b=b"b")
    history.clock.now += 40 * DAY
    job: list[str] = []

    def happens() -> None:
        push(history, tmp_path)
        job.append(submit(history, ref))

    _at(history, step, happens)
    if not job:
        happens()
    assert there(history, b"a", b"b") == [True, True]
    assert history.store.pushed.get(ref.fingerprint) is not None
    lease = history.store.leases.lease(_far(), 60.0)
    assert lease is not None
    assert lease.job_id == job[0]


def _far() -> Capabilities:
    """Return a worker of a node that holds no pictures."""
    return replace(CAN, node="far", worker="far")


def _at(history: History, step: int, happens: Callable[[], None]) -> Collection:
    """Collect, and let something happen before that step."""
    taken, count = history.storage, iter(range(100))
    copy, delete = taken.copy, taken.delete

    def now() -> None:
        if next(count) == step:
            happens()

    def copying(path: str, to: str) -> None:
        now()
        copy(path, to)

    def deleting(paths: object) -> None:
        now()
        delete(paths)  # type: ignore[arg-type]

    taken.copy, taken.delete = copying, deleting  # type: ignore[method-assign, assignment]
    try:
        return history.collector.collect(OLD)
    finally:
        taken.copy, taken.delete = copy, delete  # type: ignore[method-assign]


def test_the_pictures_of_a_prediction_go_once_it_has_ended_and_its_rows_stay(
    history: History, tmp_path: Path
) -> None:
    (tmp_path / "x.png").write_bytes(b"x")
    settings = environment.load({"ADCTL_HOME": str(tmp_path), "ADCTL_NODE": "n1", "ADCTL_USER": "kim"})
    listing = Listing(folder=str(tmp_path), names=["x.png"], node="n1")
    whole, result = Pusher(history.store, history.storage, settings).listing(listing)
    assert isinstance(result, PushResult)
    data = DatasetRef(dataset="d", category="c", fingerprint=whole.fingerprint, path=str(tmp_path))
    job = history.submit(replace(history.spec(JobKind.PREDICT), dataset=data))
    history.clock.now += 40 * DAY
    history.collector.collect(Rules())
    assert there(history, b"x") == [True]

    history.store.jobs.cancel(job.id)
    history.clock.now += 40 * DAY
    history.collector.collect(Rules())
    assert there(history, b"x") == [False]
    assert history.store.pushed.all() == []


def test_a_note_is_kept_while_a_job_that_has_not_ended_needs_it(history: History, tmp_path: Path) -> None:
    ref = push(history, tmp_path, a=b"a")
    job = submit(history, ref)
    assert not history.store.pushed.forget(ref.fingerprint)
    history.store.jobs.cancel(job)
    assert history.store.pushed.forget(ref.fingerprint)
    assert history.store.pushed.forget(ref.fingerprint)
