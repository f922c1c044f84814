"""Holds one lease: renews it while the child makes progress, and decides how the attempt ended."""

import contextlib
import logging
import shutil
import signal
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from ad_platform.durations import exact
from ad_platform.errors import LeaseLost, StoreDown
from ad_platform.failpoints import Edge, reach
from ad_platform.records import CheckpointRecord, Lease, Outcome, Progress, Renewal, StageRecord
from ad_platform.states import AttemptOutcome, Directive, FailureClass
from ad_platform.store.contract import Store
from ad_workers import messages as say
from ad_workers.attempt_log import AttemptLog
from ad_workers.boottime import boottime
from ad_workers.exits import Exit, describe
from ad_workers.nursery import Child
from ad_workers.oom_killer import kills

log = logging.getLogger(__name__)

LOOK = 2.0  # seconds between two looks for directives
CANCEL_GRACE = 1.5  # seconds a cancelled or pruned child has before its process group is killed
GIVE_BACK = (Directive.PREEMPT, Directive.DRAIN)  # after a checkpoint
WEIGHT = (Directive.CONTINUE, *GIVE_BACK, Directive.PRUNE, Directive.CANCEL)  # a later one overrides
# None: with the zygote.
ENDED_FROM_OUTSIDE = (None, -signal.SIGKILL, -signal.SIGTERM, -signal.SIGINT)
ENDINGS: dict[int | None, Outcome] = {
    Exit.CANCELLED: Outcome(outcome=AttemptOutcome.CANCELLED),
    Exit.PRUNED: Outcome(outcome=AttemptOutcome.CANCELLED, error="pruned: the trial was not worth finishing"),
    Exit.LOST: Outcome(
        outcome=AttemptOutcome.FAILED,
        failure=FailureClass.LOST,
        error="the lease ran out before it could be renewed",
    ),
    Exit.NO_MEMORY: Outcome(
        outcome=AttemptOutcome.FAILED,
        failure=FailureClass.OOM,
        error="there was not even memory left to say why it failed",
    ),
    None: Outcome(
        outcome=AttemptOutcome.FAILED,
        failure=FailureClass.INFRA,
        error="the process that forks children died",
    ),
}


@dataclass
class Supervisor:
    """Watches over one attempt, in a thread of its own, from the fork to the last word to the store."""

    store: Store
    lease: Lease
    child: Child
    scratch: Path
    log: AttemptLog
    deadline: float  # boottime until which the lease certainly lasts
    grace: float  # seconds a draining child has for its checkpoint
    draining: Callable[[], bool]
    clock: Callable[[], float] = boottime
    nap: float = 0.25  # seconds to wait for the child's next word
    retain: Callable[[Lease], None] = lambda lease: None  # removes checkpoints that are no longer needed
    progress: Progress = field(default_factory=Progress)
    time_left: float | None = None  # seconds the attempt may run, by the job's timeout
    oom_kills: Callable[[], int] = kills  # grows when the kernel kills for want of memory

    def __post_init__(self) -> None:
        now = self.clock()
        self.began = self.reported_at = now
        self.first_step = 0  # what it has gone on from
        self.next_renewal = now + self.lease.seconds / 3
        self.next_look = now + LOOK
        self.stopping: Directive | None = None
        self.stop_by = float("inf")
        self.up_at = float("inf") if self.time_left is None else now + self.time_left
        self.kills_before = self.oom_kills()
        self.verdict: Outcome | None = None
        self.lost = False
        self.told = self.progress  # what the store knows
        self.owed: deque[Callable[[], None]] = deque()  # writes the store has not taken yet, in order
        # A slow storage must not keep the lease from being renewed.
        self.errands = ThreadPoolExecutor(1, thread_name_prefix=f"errands-{self.lease.job_id}")
        self.shipping: Future[None] | None = None
        self.never = threading.Event()  # waiting for it passes time

    def run(self) -> None:
        """Supervise until the child has ended and the store knows; never raises for a lost lease."""
        try:
            while not self.child.ended.is_set():
                self._hear(self.child.link.receive(timeout=self.nap))
                self._keep()
                if self.child.link.closed:
                    self.child.ended.wait(self.nap)
            self._hear(self.child.link.receive())
            reach(Edge.ENDED)
            self._conclude()
        finally:
            self.child.kill()
            self.child.link.close()
            self.errands.shutdown(wait=False)
            shutil.rmtree(self.scratch, ignore_errors=True)

    def ends_within(self, seconds: float) -> bool:
        """Say whether the attempt will have ended so soon: at its own pace, or since it was told to."""
        if self.stopping is not None or self.verdict is not None:
            return True
        now = self.clock()
        done, left = self.progress.step - self.first_step, self.progress.of - self.progress.step
        return done > 0 and left >= 0 and (now - self.began) * left / done <= seconds

    # What the child says

    def _hear(self, received: list[object]) -> None:
        for message in received:
            self.reported_at = self.clock()
            match message:
                case say.Report():
                    if self.progress.of == 0:
                        self.first_step = message.step
                    self.progress = Progress(
                        step=message.step,
                        of=message.of,
                        metrics=message.metrics,
                        message=message.message,
                        images=message.images,
                    )
                case say.CheckpointMade() | say.StageMade() | say.Note():
                    self.owed.append(self._write_of(message))
                case say.Done():
                    self.verdict = Outcome(outcome=AttemptOutcome.SUCCEEDED, result=message.result)
                case say.Failed() if self.verdict is None:  # else it was being ended for another reason
                    self.verdict = Outcome(
                        outcome=AttemptOutcome.FAILED, failure=message.failure, error=message.error
                    )

    def _write_of(self, message: say.CheckpointMade | say.StageMade | say.Note) -> Callable[[], None]:
        """Return the write to the store that a message asks for."""
        artifacts, lease = self.store.artifacts, self.lease
        match message:
            case say.Note():
                return lambda: self.store.leases.note(lease, message.facts)
            case say.StageMade():
                stage = StageRecord(
                    key=message.key,
                    detector=lease.job.spec.detector,
                    stage=message.stage,
                    job_id=lease.job_id,
                    manifest_sha256=message.manifest_sha256,
                    size=message.size,
                )
                return lambda: artifacts.record_stage(lease, stage)
            case say.CheckpointMade():
                checkpoint = CheckpointRecord(
                    job_id=lease.job_id,
                    attempt=lease.attempt,
                    step=message.step,
                    prefix=message.prefix,
                    manifest_sha256=message.manifest_sha256,
                    size=message.size,
                )
                return lambda: self._commit(checkpoint)

    def _commit(self, checkpoint: CheckpointRecord) -> None:
        self.store.artifacts.record_checkpoint(self.lease, checkpoint)
        self.errands.submit(self.retain, self.lease)

    # What the clock says

    def _keep(self) -> None:
        """Do whatever is due: writes, renewal, a look for directives, stall and fence."""
        now = self.clock()
        if self.lost:
            return
        if now >= self.deadline:
            self._give_up("the lease could not be renewed in time")
        elif now - self.reported_at > self.lease.job.stall_after:
            self._stall(now - self.reported_at)
        else:
            if now >= self.up_at and self.verdict is None:
                self._time_is_up()
            self._talk(now)
        if now >= self.stop_by:
            self.child.kill()
        if self.shipping is None or self.shipping.done():
            self.shipping = self.errands.submit(self.log.ship)

    def _talk(self, now: float) -> None:
        try:
            self._settle()
            if now >= self.next_renewal:
                self.next_renewal = now + 1.0  # should the store be down
                self._obey(self._renew())
                self.next_renewal = now + self.lease.seconds / 3
            elif now >= self.next_look:
                self.next_look = now + LOOK
                # Whoever watches should not have to wait a third of a lease for the next step.
                news = self.progress != self.told
                self._obey(self._renew() if news else self.store.leases.look(self.lease).directive)
        except StoreDown as error:
            log.warning("job %s: %s; trying again until the lease ends", self.lease.job_id, error)
        except LeaseLost as error:
            self._give_up(str(error))
        if self.draining():
            self._obey(Directive.DRAIN)

    def _settle(self) -> None:
        """Make the writes that are owed; one that meets a store that is down stays owed."""
        while self.owed:
            self.owed[0]()
            self.owed.popleft()

    def _renew(self) -> Directive:
        before = self.clock()  # the store's lease starts later, so ours ends first
        progress = self.progress
        renewal: Renewal = self.store.leases.renew(self.lease, progress)
        self.told = progress
        self.deadline = before + renewal.seconds
        self.child.link.send(say.Deadline(deadline=self.deadline))
        return renewal.directive

    def _obey(self, directive: Directive) -> None:
        """Pass a directive on, once; a prune overrides a drain, and a cancel both."""
        if WEIGHT.index(directive) <= WEIGHT.index(self.stopping or Directive.CONTINUE):
            return
        self.stopping = directive
        patience = self.grace if directive in GIVE_BACK else CANCEL_GRACE
        if directive in GIVE_BACK and self.child.pid is None:
            patience = 0.0  # it has not been forked yet, so there is nothing to keep
        self.stop_by = self.clock() + patience
        # What a child does is the same, whoever goes first instead of it.
        told = Directive.DRAIN if directive in GIVE_BACK else directive
        self.child.link.send(say.Order(directive=told))

    def _stall(self, silence: float) -> None:
        self.verdict = Outcome(
            outcome=AttemptOutcome.FAILED,
            failure=FailureClass.STALLED,
            error=f"no report for {silence:.0f} s; stall_after is {self.lease.job.stall_after:.0f} s",
        )
        self.child.kill()
        self.reported_at = self.clock()

    def _time_is_up(self) -> None:
        """End a job that has run as long as it may, after a last checkpoint if that comes in time."""
        limit = exact(self.lease.job.timeout or 0.0)
        self.verdict = Outcome(
            outcome=AttemptOutcome.FAILED,
            failure=FailureClass.TIMEOUT,
            error=f"its time limit of {limit} is used up",
        )
        self._obey(Directive.DRAIN)

    def _give_up(self, why: str) -> None:
        log.error("job %s attempt %d: %s; its child is killed", self.lease.job_id, self.lease.attempt, why)
        self.lost = True
        self.child.link.send(say.Order(directive=Directive.LOST), timeout=0.0)
        self.child.kill()

    # The end

    def _conclude(self) -> None:
        """Tell the store how the attempt ended, trying again while the lease lasts."""
        while not self.lost:
            try:
                self._settle()
                self._run_errands()  # while the lease holds: without it no old checkpoint may be removed
                self._tell_end()
                return
            except StoreDown as error:
                if self.clock() >= self.deadline:
                    log.error("job %s: %s; its end is left to the reaper", self.lease.job_id, error)
                    break
                self.never.wait(self.nap)
            except LeaseLost as error:
                log.error("job %s: %s", self.lease.job_id, error)
                break
        self._run_errands()

    def _run_errands(self) -> None:
        """Wait until what was to be done aside is done, the last of the log included."""
        with contextlib.suppress(TimeoutError):
            self.errands.submit(self.log.ship, final=True).result(self.lease.seconds / 3)

    def _tell_end(self) -> None:
        drained = self.child.status == Exit.DRAINED or self.stopping in GIVE_BACK
        # A second signal, or one to every process, may end it before the order to drain has reached it.
        killed = self.draining() and self.child.status in ENDED_FROM_OUTSIDE
        ended = self.stopping in (Directive.CANCEL, Directive.PRUNE)
        if (drained or killed) and not ended and self.verdict is None:
            preempted = self.stopping is Directive.PREEMPT
            reason = "preempted" if preempted else "its worker was drained"
            self.store.leases.give_back(self.lease, reason, preempted=preempted)
            return
        with contextlib.suppress(StoreDown):
            self.store.leases.renew(self.lease, self.progress)  # the last step is part of the record
        self.store.leases.finish(self.lease, self.verdict or self._ending())

    def _ending(self) -> Outcome:
        """Judge a child that left without a word."""
        if self.stopping in (Directive.CANCEL, Directive.PRUNE):
            return ENDINGS[Exit.CANCELLED if self.stopping is Directive.CANCEL else Exit.PRUNED]
        if self.child.status in ENDINGS:
            return ENDINGS[self.child.status]
        assert self.child.status is not None
        failure, error = FailureClass.CRASH, describe(self.child.status)
        if self.child.status == -signal.SIGKILL and self.oom_kills() > self.kills_before:
            failure, error = FailureClass.OOM, f"{error}, by the kernel for want of memory"
        return Outcome(outcome=AttemptOutcome.FAILED, failure=failure, error=error)
