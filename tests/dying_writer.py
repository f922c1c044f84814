"""Attempts that do nothing but write checkpoints, and the processes that die in the midst of it (SIGKILL).

Run as a program it reads one JSON command a line, forks a process that makes an attempt, and answers with how
that ended: importing what writes takes a second, and forking from a process that has done so takes none.
"""

import json
import os
import signal
import socket
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ad_platform import failpoints
from ad_platform.records import RESUMED_FROM, CheckpointRecord, Lease
from ad_platform.storage.checkpoints import Search
from ad_platform.storage.engine import open_storage
from ad_platform.storage.metrics import segments
from ad_workers.boottime import boottime
from ad_workers.checkpointer import Checkpointer
from ad_workers.desk import Desk
from ad_workers.link import Link
from ad_workers.messages import Assignment, CheckpointMade
from ad_workers.retention import retain_newest
from job_stories import Stories

KILLED = -signal.SIGKILL
EVERY, LAST = 2, 8  # steps
SMALL = 5000  # bytes of a state
PART = 5 << 20  # bytes that are sent at once to an object store, the least it takes
LARGE = 2 * PART + 1000  # in three parts
LARGE_AT = 6  # the step whose state is large where one is asked for
UPLOADS = ("create_multipart_upload", "upload_part", "complete_multipart_upload")  # of what is large
CHANGES = (*UPLOADS, "put_object", "delete_object", "delete_objects")  # of an object store


def content(step: int, size: int = SMALL) -> bytes:
    """Return what the state of a step consists of, which no other step's does."""
    return (f"{step:09d}" * (size // 9 + 1)).encode()[:size]


def measured(step: int) -> float:
    """Return what is measured at a step."""
    return 1 / step


def attempt(stories: Stories, lease: Lease, scratch: Path, *, large: bool = False) -> Search:
    """Go on from the newest whole checkpoint to the last step, with all that a worker does about checkpoints.

    Returns what it went on from.
    """
    scratch.mkdir(parents=True)
    known = {
        record.prefix: record.manifest_sha256 for record in stories.store.artifacts.checkpoints(lease.job_id)
    }
    ends = socket.socketpair()
    links = Link(ends[0]), Link(ends[1])
    desk = Desk(_assignment(lease, scratch, known), lease.job.spec, links[0], stories.storage)
    found = desk.resume()
    begun = int(str(found.manifest.meta["step"])) if found.manifest else 0
    if found.manifest:
        stories.store.leases.note(lease, {RESUMED_FROM: found.manifest.prefix})
    step = begun

    def save(folder: Path) -> None:
        size = LARGE if large and step == LARGE_AT else SMALL
        (folder / "state.bin").write_bytes(content(step, size))
        (folder / "state.json").write_text(json.dumps({"step": step, "size": size}))

    committed = segments(found.manifest) if found.manifest else []
    checkpointer = Checkpointer(desk, save, dict, every=EVERY, committed=committed)
    for step in range(begun + 1, LAST + 1):
        checkpointer.add(step, {"train/loss": measured(step)})
        checkpointer.safe_point(step, LAST)
        for made in links[1].receive():
            assert isinstance(made, CheckpointMade)
            _commit(stories, lease, made)
    for link in links:
        link.close()
    return found


def check_fetched(scratch: Path, found: Search) -> None:
    """Check that what an attempt went on from is to the last byte what was written at that step."""
    if found.manifest is not None:
        folder = scratch / "resume" / found.manifest.prefix.rsplit("/", 1)[1]
        about = json.loads((folder / "state.json").read_text())
        assert about["step"] == found.manifest.meta["step"]
        assert (folder / "state.bin").read_bytes() == content(about["step"], about["size"])


def _assignment(lease: Lease, scratch: Path, known: Mapping[str, str]) -> Assignment:
    return Assignment(
        job_id=lease.job_id,
        attempt=lease.attempt,
        kind="train",
        spec=lease.job.spec.to_json(),
        data="",
        storage_url="",
        scratch=str(scratch),
        cache="",
        fingerprints="",
        weights=None,
        lineage=(lease.job_id,),
        recorded={lease.job_id: known},
        source=None,
        threads=1,
        devices=(),
        deadline=boottime() + 600,
    )


def _commit(stories: Stories, lease: Lease, made: CheckpointMade) -> None:
    record = CheckpointRecord(
        job_id=lease.job_id,
        attempt=lease.attempt,
        step=made.step,
        prefix=made.prefix,
        manifest_sha256=made.manifest_sha256,
        size=made.size,
    )
    stories.store.artifacts.record_checkpoint(lease, record)
    retain_newest(stories.storage, stories.store, lease)


class Writers:
    """The program, as a test talks to it."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-W", "ignore", __file__],
            env={**environment, "PYTHONPATH": os.pathsep.join(sys.path)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def attempt(self, stories: Stories, job: str, storage_url: str, **how: object) -> int:
        """Let a process make the newest attempt of a job, and return how it ended.

        `trap` arms edges; `call` is the moment of a change of an object store at which it dies, and `calls`
        the file that they are written to; `large` makes the state of one step large.
        """
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        command = {
            "folder": str(stories.folder),
            "url": stories.url,
            "job": job,
            "storage": storage_url,
            **how,
        }
        self._process.stdin.write(json.dumps(command) + "\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        assert answer, "the writing program has died"
        return int(answer)

    def close(self) -> None:
        """End the program."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(30)
        self._process.stdout.close()


@contextmanager
def writers(environment: Mapping[str, str]) -> Iterator[Writers]:
    """Give the program, and end it afterwards."""
    made = Writers(environment)
    try:
        yield made
    finally:
        made.close()


def _main() -> None:
    import s3fs  # noqa: F401 - what is imported here need not be by each process

    for line in sys.stdin:
        command = json.loads(line)
        child = os.fork()
        if child == 0:
            code = 1
            try:
                _live(command)
                code = 0
            except BaseException:
                import traceback

                traceback.print_exc()
            finally:
                os._exit(code)
        sys.stdout.write(f"{os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])}\n")
        sys.stdout.flush()


def _live(command: Mapping[str, Any]) -> None:
    os.environ[failpoints.VARIABLE] = command.get("trap", "")
    folder = Path(command["folder"])
    stories = Stories(folder, command["url"])
    stories.storage = open_storage(command["storage"])
    if command.get("calls"):
        _mortal_calls(Path(command["calls"]), command.get("call", ""))
    job = stories.store.jobs.get(command["job"])
    assert job.worker is not None
    lease = Lease(job=job, attempt=job.attempt, worker=job.worker, seconds=60.0)
    attempt(stories, lease, folder / f"scratch-{job.id}-{os.getpid()}", large=bool(command.get("large")))


def _mortal_calls(names: Path, die_at: str) -> None:
    """Note what changes the object store, before and after it, and die at a moment: "before NAME@HIT"."""
    import s3fs.core

    send, hits = s3fs.core.S3FileSystem._call_s3, Counter[str]()

    def moment(name: str) -> None:
        hits[name] += 1
        with names.open("a") as file:
            file.write(f"{name}@{hits[name]}\n")
        if f"{name}@{hits[name]}" == die_at:
            os.kill(os.getpid(), signal.SIGKILL)

    async def sending(self: object, method: str, *arguments: object, **named: object) -> object:
        if method not in CHANGES:
            return await send(self, method, *arguments, **named)
        moment(f"before {method}")
        answer = await send(self, method, *arguments, **named)
        moment(f"after {method}")
        return answer

    s3fs.core.S3FileSystem._call_s3 = sending
    s3fs.core.calculate_chunksize = lambda *_, **__: PART


if __name__ == "__main__":
    sys.path[:] = [*dict.fromkeys([*sys.path, str(Path(__file__).parent)])]
    _main()
