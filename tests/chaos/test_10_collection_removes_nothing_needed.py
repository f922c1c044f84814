"""Promise 10: a collection removes nothing that an alias, a report or a job that goes on needs."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import cycle
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from ad_platform.curves import committed
from ad_platform.errors import Collected, CorruptBundle
from ad_platform.failpoints import Commit, Edge
from ad_platform.records import Champion
from ad_platform.results import result_of
from ad_platform.states import CollectedState, JobState
from ground import Ground

pytestmark = pytest.mark.timeout(600)
EVERYDAY = "clustered"

Worker = "subprocess.Popen[bytes]"

# The harshest rules: nothing is young, and of ended jobs only what failed is kept for its own sake.
HARSH = (
    *("gc", "--older-than", "0s", "--keep-last", "0", "--grace", "0s"),
    *("--resumable", "1h", "--trash", "1h", "--quiet"),
)
DEATHS = ("", f"{Edge.COPIED}:kill", "", f"{Edge.THROWN}:kill", f"{Commit.SETTLE.before}:kill", "")
PATIENCE = 150.0  # seconds: each collection is a program that starts and looks through the whole storage
MODEL = "troublesome-made-shared"


@dataclass
class Collecting:
    """Collections one after the other, some of which are killed, and what became of them."""

    land: Ground
    ended: list[int] = field(default_factory=list)  # exit codes
    said: list[str] = field(default_factory=list)  # what those said that failed

    def run(self, stop: threading.Event) -> None:
        for death in cycle(DEATHS):
            if stop.is_set():
                return
            self.once(death)

    def once(self, death: str = "") -> None:
        done = self.land.platform.trapped(death, *HARSH)
        self.ended.append(done.returncode)
        if done.returncode not in (0, -9):
            self.said.append(done.stderr)

    def more(self, number: int = 2) -> None:
        """Wait for some more collections that come to their end."""
        wanted = self.ended.count(0) + number
        self.land.platform.wait(lambda: self.ended.count(0) >= wanted, "collections end", PATIENCE)


@contextmanager
def collecting(land: Ground) -> Iterator[Collecting]:
    """Collect all the time; whatever ends is taken to be in MLflow at once, which else would keep it."""
    stop, going = threading.Event(), Collecting(land)

    def ship() -> None:
        with land.platform.store() as store:
            while not stop.wait(0.05):
                for shipment in store.shipments.claim("a test", 5, 100):
                    store.shipments.done(shipment, "run", 0)

    threads = [threading.Thread(target=going.run, args=(stop,)), threading.Thread(target=ship)]
    for thread in threads:
        thread.start()
    try:
        yield going
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def promote(land: Ground, job: str, revision: int) -> bool:
    """Let a job's model carry the alias; False where its files were collected before."""
    champion = Champion(model=MODEL, alias="champion", revision=revision, job_id=job, user="kim")
    try:
        land.client.store.champions.promote(champion)
    except Collected:
        return False
    return True


def is_whole(land: Ground, job: str) -> bool:
    """Say whether the model of a job is there with every file as it was reported."""
    result = result_of(land.job(job))
    assert result.bundle is not None
    with TemporaryDirectory() as folder:
        try:
            return land.storage.fetch(result.bundle, Path(folder)).sha256 == result.manifest_sha256
        except CorruptBundle:
            return False


def curve(land: Ground, job: str) -> list[int]:
    return [point.step for point in committed(land.client.store, land.storage, job).points]


def test_collections_in_a_row_take_nothing_from_jobs_and_champions(
    land: Ground, worker: Worker, tmp_path
) -> None:
    over, gate = tmp_path / "over", tmp_path / "gate"
    picture = next((land.pictures() / "train" / "good").iterdir())
    with collecting(land) as going:
        broken = land.submit(trouble="raise", at=7, file=str(over))
        killed = land.submit(trouble="gate", at=7, file=str(gate))
        land.reaches(killed, 6)
        assert land.ended(broken).state is JobState.FAILED
        going.more()
        for child in land.offspring(worker):
            child.kill()
        gate.touch()
        over.touch()
        retried = land.client.retry(broken).jobs[0].id
        champions, late = [], []
        for _ in range(3):
            job = land.submit(steps=2, every=1)
            assert land.ended(job).state is JobState.SUCCEEDED
            (champions if promote(land, job, len(champions) + 1) else late).append(job)
        champions, late = _one_of_each(land, going, champions, late)
        assert land.ended(killed).state is land.ended(retried).state is JobState.SUCCEEDED
        last = len(champions) + 1
        assert promote(land, killed, last) or _brought_back(land, killed, last)
        going.more()
    going.once()

    assert going.said == []
    # What was killed or had failed went on from where it was, with nothing missing.
    assert land.attempts(killed)[1].facts["resumed_step"] == 6
    assert land.attempts(retried)[0].facts["resumed_step"] == 6
    assert curve(land, killed) == list(range(1, 13))
    for job in [*champions, killed]:
        assert is_whole(land, job), job
    ask = (str(picture), "--threshold", "1e9", "--csv")
    assert "normal" in land.platform("predict", f"{MODEL}@champion", *ask)
    # What nobody needed is gone from its place, and comes back when it is asked for.
    lost = late[0]
    assert not is_whole(land, lost)
    land.platform("predict", lost, *ask, code=3)
    assert _brought_back(land, lost, last + 1)
    assert is_whole(land, lost)
    assert land.stored(retried) == []
    states = {mark.state for mark in land.client.store.retention.marks().values()}
    assert CollectedState.CONDEMNED not in states


def _one_of_each(
    land: Ground, going: Collecting, champions: list[str], late: list[str]
) -> tuple[list[str], list[str]]:
    """See to it that one was promoted in time, and one too late."""
    if not champions:
        assert _brought_back(land, late[0], 1)
        champions.append(late.pop(0))
    if not late:
        job = land.submit(steps=2, every=1)
        land.ended(job)
        land.platform.wait(lambda: not is_whole(land, job), "what nobody needs is taken", PATIENCE)
        going.more(1)
        assert not promote(land, job, len(champions) + 1)
        late.append(job)
    return champions, late


def _brought_back(land: Ground, job: str, revision: int) -> bool:
    """Restore a job's files, as a person would, and promote it then."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        land.platform("gc", "restore", job)
        if promote(land, job, revision):
            return True
    return False
