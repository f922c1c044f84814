"""A checkpoint is whole or not there, and a disk that is full costs the newest one only."""

import errno
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from ad_platform.errors import DiskFull
from ad_platform.specs import DatasetRef, JobSpec
from ad_platform.states import Directive, FailureClass, JobKind
from ad_platform.storage.bundles import BundleStorage
from ad_platform.storage.checkpoints import stored_checkpoints
from ad_platform.storage.folder import FolderBlobs, refused
from ad_platform.storage.metrics import read_segments
from ad_workers import messages as say
from ad_workers.boottime import boottime
from ad_workers.checkpointer import AT_LEAST, Checkpointer
from ad_workers.desk import Desk, Stop
from ad_workers.exits import Exit, classify
from ad_workers.link import Link

SPEC = JobSpec(
    kind=JobKind.TRAIN,
    detector="toy",
    dataset=DatasetRef(dataset="d", category="c", fingerprint="f", path="/nowhere"),
)


class SmallDisk(FolderBlobs):
    """A folder on a disk with room for so many more files."""

    room = 10_000

    def put(self, path: str, content: bytes) -> None:
        self._take(path)
        super().put(path, content)

    def put_file(self, path: str, source: Path) -> str:
        self._take(path)
        return super().put_file(path, source)

    def _take(self, path: str) -> None:
        self.room -= 1
        if self.room < 0:
            raise refused(OSError(errno.ENOSPC, "no space left on device"), path, 1)


@dataclass
class Bench:
    """A child's desk with a real line to a supervisor that the test plays."""

    desk: Desk
    far: Link
    disk: SmallDisk
    now: float = 0.0
    state: str = ""

    def checkpointer(self, every: int | None = None, **more: object) -> Checkpointer:
        return Checkpointer(
            self.desk,
            save=lambda folder: (folder / "state").write_text(self.state) and None,
            meta=lambda: {"threads": 1},
            every=every,
            clock=lambda: self.now,
            **more,
        )

    def made(self) -> list[int]:
        return [message.step for message in self.far.receive() if isinstance(message, say.CheckpointMade)]


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    ours, theirs = socket.socketpair()
    assignment = say.Assignment(
        job_id="j",
        attempt=1,
        kind="train",
        spec=SPEC.to_json(),
        data="/nowhere",
        storage_url="",
        scratch=str(tmp_path / "scratch"),
        cache="",
        fingerprints="",
        weights=None,
        lineage=("j",),
        source=None,
        threads=1,
        devices=(),
        deadline=boottime() + 600,
    )
    disk = SmallDisk(tmp_path / "storage")
    bench = Bench(Desk(assignment, SPEC, Link(ours), BundleStorage(disk)), Link(theirs), disk)
    yield bench
    bench.far.close()
    bench.desk.link.close()


def run(bench: Bench, checkpointer: Checkpointer, first: int, last: int) -> None:
    for step in range(first, last + 1):
        bench.state = f"state {step}"
        checkpointer.add(step, {"train/loss": 1 / step})
        checkpointer.safe_point(step, 100)


def test_checkpoints_come_every_so_many_steps_and_commit_each_point_once(bench):
    run(bench, bench.checkpointer(every=3), 1, 8)
    assert bench.made() == [3, 6]
    newest = bench.desk.resume()
    assert newest.manifest.meta["step"] == 6
    assert [point.step for point in read_segments(bench.desk.storage, newest.manifest)] == [1, 2, 3, 4, 5, 6]


def test_without_a_number_of_steps_time_decides(bench):
    checkpointer = bench.checkpointer()
    run(bench, checkpointer, 1, 5)
    assert bench.made() == []
    bench.now = AT_LEAST
    run(bench, checkpointer, 6, 7)
    assert bench.made() == [6]


def test_the_last_step_is_committed_once(bench):
    checkpointer = bench.checkpointer(every=4)
    run(bench, checkpointer, 1, 4)
    checkpointer.settle(4)
    assert bench.made() == [4]
    run(bench, checkpointer, 5, 5)
    checkpointer.settle(5)
    assert bench.made() == [5]


@pytest.mark.parametrize("room", [0, 1, 2])
def test_a_full_disk_fails_the_checkpoint_as_disk_and_the_last_good_one_stays(bench, room):
    checkpointer = bench.checkpointer(every=2)
    run(bench, checkpointer, 1, 2)
    bench.disk.room = room  # the segment, the state and the manifest want three files
    with pytest.raises(DiskFull, match="no room left to write jobs/j/") as caught:
        run(bench, checkpointer, 3, 4)
    assert classify(caught.value) is FailureClass.DISK
    assert bench.made() == [2]
    resumed = bench.desk.resume()
    assert (resumed.manifest.meta["step"], resumed.broken) == (2, ())
    assert (bench.desk.scratch / "resume" / "000000002-a1" / "state").read_text() == "state 2"
    assert [point.step for point in read_segments(bench.desk.storage, resumed.manifest)] == [1, 2]


def test_a_drain_writes_a_checkpoint_first_and_a_cancel_does_not(bench):
    checkpointer = bench.checkpointer(every=1000)
    bench.far.send(say.Order(directive=Directive.DRAIN))
    with pytest.raises(Stop) as drained:
        run(bench, checkpointer, 1, 1)
    assert (drained.value.code, bench.made()) == (Exit.DRAINED, [1])
    bench.far.send(say.Order(directive=Directive.CANCEL))
    with pytest.raises(Stop) as cancelled:
        run(bench, checkpointer, 2, 2)
    assert (cancelled.value.code, bench.made()) == (Exit.CANCELLED, [])


def test_nothing_is_written_once_the_supervisor_is_gone_or_the_lease_over(bench):
    checkpointer = bench.checkpointer(every=1)
    run(bench, checkpointer, 1, 1)
    bench.far.send(say.Order(directive=Directive.LOST))
    with pytest.raises(Stop) as lost:
        run(bench, checkpointer, 2, 2)
    assert lost.value.code is Exit.LOST
    assert len(stored_checkpoints(bench.desk.storage, "j")) == 1


def test_a_renewal_heard_in_time_lets_a_late_checkpoint_through_and_none_does_not(bench, monkeypatch):
    monkeypatch.setattr("ad_workers.desk.PATIENCE", 0.01)
    checkpointer = bench.checkpointer(every=1)
    bench.desk.deadline = boottime() - 1
    bench.far.send(say.Deadline(deadline=boottime() + 600))
    run(bench, checkpointer, 1, 1)
    bench.desk.deadline = boottime() - 1
    with pytest.raises(Stop):
        run(bench, checkpointer, 2, 2)
    assert bench.made() == [1]


def test_a_broken_newest_checkpoint_is_passed_over_by_name(bench):
    run(bench, bench.checkpointer(every=2), 1, 4)
    (state,) = (bench.disk.root / "jobs/j/checkpoints/000000004-a1").glob("v-*/state")
    state.write_text("STATE 4")
    resumed = bench.desk.resume()
    assert resumed.manifest.meta["step"] == 2
    assert "jobs/j/checkpoints/000000004-a1" in resumed.broken[0]
