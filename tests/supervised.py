"""A supervisor between a child that follows a script and a store that writes down what it is asked."""

import socket
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace

from ad_platform.records import (
    Capabilities,
    CheckpointRecord,
    Job,
    Lease,
    Occupancy,
    Outcome,
    Preemption,
    Progress,
    Renewal,
)
from ad_platform.specs import DatasetRef, JobSpec, Json
from ad_platform.states import Directive, JobKind, JobState
from ad_platform.store.contract import Leases
from ad_workers.attempt_log import AttemptLog
from ad_workers.link import Link
from ad_workers.nursery import Child
from ad_workers.supervisor import Supervisor

SPEC = JobSpec(
    kind=JobKind.TRAIN,
    detector="ddad",
    dataset=DatasetRef(dataset="mvtec", category="screw", fingerprint="f", path="/data"),
)
JOB = Job(
    id="job",
    seq=1,
    spec=SPEC,
    state=JobState.RUNNING,
    user="ann",
    attempt=1,
    stall_after=60.0,
    max_attempts=3,
)
LEASE = Lease(job=JOB, attempt=1, worker="w", seconds=30.0)


@dataclass
class FakeLeases(Leases):
    """Writes down what it is asked; `trouble` raises before it does."""

    directive: Directive = Directive.CONTINUE
    trouble: Callable[[str], None] = lambda call: None
    calls: list[str] = field(default_factory=list)
    outcome: Outcome | None = None
    progress: Progress | None = None
    reason: str = ""  # of a give-back
    preempted: bool = False

    def _called(self, name: str) -> None:
        self.trouble(name)
        self.calls.append(name)

    def lease(self, capabilities: Capabilities, seconds: float, hint: str | None = None) -> Lease | None:
        raise AssertionError("a supervisor leases nothing")

    def renew(self, lease: Lease, progress: Progress | None = None) -> Renewal:
        self._called("renew")
        self.progress = progress
        return Renewal(directive=self.directive, seconds=lease.seconds)

    def look(self, lease: Lease) -> Renewal:
        self._called("look")
        return Renewal(directive=self.directive, seconds=lease.seconds)

    def note(self, lease: Lease, facts: Mapping[str, Json]) -> None:
        self._called("note")

    def finish(self, lease: Lease, outcome: Outcome) -> Job:
        self._called("finish")
        self.outcome = outcome
        return lease.job

    def give_back(self, lease: Lease, reason: str, *, preempted: bool = False) -> Job:
        self._called("give_back")
        self.reason, self.preempted = reason, preempted
        return lease.job

    def preempt(self, occupancy: Occupancy) -> list[Preemption]:
        return []

    def reap(self) -> list[Job]:
        return []


class FakeArtifacts:
    def __init__(self) -> None:
        self.recorded: list[int] = []
        self.trouble: list[Exception] = []

    def record_checkpoint(self, lease: Lease, checkpoint: CheckpointRecord) -> None:
        if self.trouble:
            raise self.trouble.pop(0)
        self.recorded.append(checkpoint.step)


class Scene:
    """A supervisor whose child is a script: each reading of the clock moves the time and plays the lines."""

    def __init__(
        self, folder: Path, script: Mapping[int, Callable[["Scene"], None]], time_left: float | None = None
    ) -> None:
        ours, theirs = socket.socketpair()
        self.far = Link(theirs)
        self.child = Child(1, Link(ours), kill=self._kill, pid=4711)
        self.leases, self.artifacts = FakeLeases(), FakeArtifacts()
        self.script = dict(script)
        self.now, self.drained, self.killed = 0.0, threading.Event(), 0
        self.killed_before_its_end = False
        self.oom_kills = 3  # of other processes, before this one
        self.supervisor = Supervisor(
            store=SimpleNamespace(leases=self.leases, artifacts=self.artifacts),  # type: ignore[arg-type]
            lease=LEASE,
            child=self.child,
            scratch=folder / "scratch",
            log=AttemptLog(folder / "log", append=lambda content: None),
            deadline=30.0,
            grace=20.0,
            draining=self.drained.is_set,
            clock=self._clock,
            nap=0.0,
            time_left=time_left,
            oom_kills=lambda: self.oom_kills,
        )

    def run(self) -> "Scene":
        self.supervisor.run()
        return self

    def say(self, *messages: object) -> None:
        for message in messages:
            self.far.send(message)

    def end(self, status: int | None) -> None:
        self.child.status = status
        self.child.ended.set()

    def heard(self) -> list[object]:
        return self.far.receive()

    def _kill(self) -> None:
        self.killed += 1
        if not self.child.ended.is_set():
            self.killed_before_its_end = True
            self.end(-9)

    def _clock(self) -> float:
        if threading.current_thread() is threading.main_thread():  # errands must not move the time
            self.now += 0.25
            line = self.script.pop(int(self.now), None)
            if line is not None:
                line(self)
            assert self.now < 10_000, "the supervisor never ended"
        return self.now
