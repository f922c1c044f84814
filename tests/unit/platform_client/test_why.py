"""What `why` says of a job, whatever keeps it."""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from ad_platform import settings as environment
from ad_platform.client import Client
from ad_platform.queue.memory import MemoryQueue
from ad_platform.records import CheckpointRecord, Holding, Job, Lease, Outcome, Progress
from ad_platform.states import AttemptOutcome, FailureClass, JobKind, Sequel
from ad_platform.store.contract import Store
from ad_platform.store.engine import open_store
from ad_platform.why import Reasons, explain, warnings
from clientkit import migrated
from store_cases import MINUTE, SPEC, START, SUCCESS, FakeClock, failed, holding, submit, take, worker

EVALUATE = replace(SPEC, kind=JobKind.EVALUATE)


@dataclass
class Case:
    client: Client
    store: Store
    queue: MemoryQueue
    clock: FakeClock

    def why(self, job: Job | Lease) -> Reasons:
        return explain(self.client, self.store.jobs.get(job.job_id if isinstance(job, Lease) else job.id))

    def kinds(self, job: Job) -> list[str]:
        return [cause.kind.value for cause in self.why(job).causes]

    def text(self, job: Job | Lease) -> str:
        return "\n".join(self.why(job).lines)

    def later(self, seconds: float) -> None:
        """Let time pass in which every worker is heard of."""
        self.clock.advance(seconds)
        for one in self.store.workers.roster():
            self.store.workers.beat(one.id)

    def online(self, name: str = "w1", **values: object) -> None:
        self.store.workers.register(replace(worker(name), **values))  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return migrated(tmp_path_factory.mktemp("template"))


@pytest.fixture
def case(template: Path, tmp_path: Path) -> Iterator[Case]:
    shutil.copyfile(template, tmp_path / "store.db")
    known = environment.load({"ADCTL_HOME": str(tmp_path), "ADCTL_NODE": "n1", "ADCTL_USER": "ann"})
    clock, queue = FakeClock(), MemoryQueue()
    store = open_store(known.database_url, clock=clock)
    store.workers.hold([holding()])
    client = Client(known, store, queue, code={"version": "test"})
    client._monotonic = lambda: clock.now
    yield Case(client, store, queue, clock)
    store.close()


def test_without_a_worker_it_says_so_and_how_to_start_one(case: Case):
    job = submit(case.store)
    assert case.why(job).lines == (
        "no worker is online, so the job waits; start one with: adctl worker start (or adctl up)",
    )
    case.online()
    case.store.workers.drain("w1")
    assert "no worker is online (w1 is told to leave), so the job waits" in case.text(job)
    case.clock.advance(5 * MINUTE)
    assert "no worker is online (w1 was last heard of 5m ago), so the job waits" in case.text(job)


def test_what_the_workers_lack_is_named_one_thing_at_a_time(case: Case):
    case.online(facts={"devices": ["cpu"], "memory_mb": 8000})
    data = replace(SPEC.dataset, fingerprint="f2")
    case.store.workers.hold([Holding(node="n7", fingerprint="f2", dataset="d", category="c", path="/d/c")])

    assert "serves the queue 'gold' (they serve default)" in case.text(submit(case.store, queue="gold"))
    assert "has the detector 'padim'" in case.text(submit(case.store, spec=replace(SPEC, detector="padim")))
    big = submit(case.store, memory_mb=9000)
    assert "asks for 9000 MB of memory, and the fitting workers (w1) have 8000 MB at most" in case.text(big)
    card = case.text(submit(case.store, gpus=1))
    assert "it asks for a GPU, and the fitting workers (w1) have none" in card
    assert "--device cpu" in card
    elsewhere = case.text(submit(case.store, spec=replace(SPEC, dataset=data)))
    assert (
        "the images of mvtec/bottle are not on a node with a fitting worker (n1), they lie on n7" in elsewhere
    )


def test_a_paused_queue_is_named_with_who_when_and_why_and_submit_warns_of_it(case: Case):
    case.online()
    case.store.queues.pause("default", "bob", "the disk\nis full")
    case.later(3 * MINUTE)
    job = submit(case.store)

    (line,) = case.why(job).lines

    assert "the queue 'default' is paused, by bob since " in line
    assert "(3m ago): the disk is full; let it go on with: adctl queue resume default" in line
    assert warnings(case.client, [job]) == [line]
    assert case.kinds(job) == ["paused"]


def test_all_that_keeps_it_is_said_not_only_the_first_thing(case: Case):
    case.store.queues.pause("default", "bob")
    job = submit(case.store, not_before=START + 90)
    assert case.kinds(job) == ["paused", "not-before", "no-worker"]


def test_a_pause_after_a_failure_says_which_and_until_when(case: Case):
    case.online()
    job = submit(case.store)
    case.store.leases.finish(take(case.store), failed(FailureClass.OOM, "out of memory"))

    text = case.text(job)

    assert "it is not to start before" in text
    assert "attempt 1 failed (oom), and the next one with its batches computed in halves waits" in text
    assert (
        f"that was failure 1, and 3 end the job; if it is not worth another one: adctl cancel {job.id}"
        in text
    )
    assert (
        "attempt 1 on worker w1 failed (oom) after 1s: out of memory; tried again, its batches computed in "
        "halves, since half as much at once may fit" in text
    )
    case.clock.advance(3)
    assert case.why(job).could_run


def test_busy_slots_are_named_with_their_jobs_how_far_those_are_and_when_they_end(case: Case):
    case.online(slots=2)
    case.online("w2", node="n2", detectors=("padim",))
    first, second, third = (submit(case.store) for _ in range(3))
    one, two = take(case.store), take(case.store)
    case.later(40)
    case.store.leases.renew(one, Progress(step=40, of=1000))
    case.store.leases.renew(two, Progress(step=80, of=100))

    (cause,) = case.why(third).causes

    assert cause.kind == "busy"
    assert cause.jobs == (second.id, first.id)
    assert cause.words.startswith(
        f"all 2 slots of worker w1 are busy with {second.id} (train ddad on mvtec/bottle, step 80 of 100, "
        f"about 10s left), {first.id} (train ddad on mvtec/bottle, step 40 of 1000, about 16m left)"
    )
    assert case.why(third).estimate is not None
    assert "it should start in about 10s" in case.text(third)


def test_the_pace_of_a_resumed_attempt_counts_from_where_it_went_on(case: Case):
    case.online()
    submit(case.store)
    lease = take(case.store)
    case.store.leases.note(lease, {"resumed_step": 100})
    case.clock.advance(50)
    case.store.leases.renew(lease, Progress(step=150, of=200))
    assert "it should end in about 50s" in case.text(lease)


def test_jobs_that_go_first_are_counted_by_what_puts_them_there(case: Case):
    case.online(slots=9)
    submit(case.store, user="ann")
    take(case.store)
    earlier = submit(case.store, user="ann")
    mine = submit(case.store, user="ann")
    bob = submit(case.store, user="bob")
    urgent = submit(case.store, user="eve", priority=5)

    reasons = case.why(mine)

    assert reasons.lines == (
        "3 jobs go first: 1 of higher priority than its 0, 1 of bob, who has fewer slots than ann "
        f"(1), 1 submitted earlier; the next is {urgent.id}",
    )
    assert reasons.causes[0].jobs == (urgent.id, bob.id, earlier.id)
    assert warnings(case.client, [mine]) == []
    assert case.kinds(urgent) == ["ready"]


def test_a_job_that_nothing_keeps_is_taken_next_unless_the_broker_is_down(case: Case):
    case.online()
    job = submit(case.store)
    assert "nothing keeps it: worker w1 has a free slot and takes it next" in case.text(job)
    case.queue.down = True
    assert "no worker can be woken for it: the queue in memory is down" in case.text(job)
    assert case.why(job).could_run


def test_a_waiting_job_names_what_it_waits_for_and_why_that_is_not_running(case: Case):
    train = submit(case.store)
    evaluate = submit(case.store, spec=replace(EVALUATE, source=train.id), needs=(train.id,))

    lines = case.why(evaluate).lines

    assert lines[0] == f"it waits for job {train.id} (train ddad on mvtec/bottle), which is queued"
    assert lines[1].startswith("  no worker is online")
    assert len(lines) == 2
    case.online()
    take(case.store)
    assert f"it waits for job {train.id} (train ddad on mvtec/bottle), which is running" in case.text(
        evaluate
    )
    assert "  it runs: attempt 1 on worker w1" in case.text(evaluate)


def test_a_job_that_failed_with_what_it_needs_tells_the_first_error(case: Case):
    train = submit(case.store)
    evaluate = submit(case.store, spec=EVALUATE, needs=(train.id,))
    third = submit(case.store, spec=EVALUATE, needs=(evaluate.id,))
    case.store.leases.finish(take(case.store), failed(FailureClass.NAN, "the loss is nan at step 7"))

    lines = case.why(third).lines

    assert f"needs job {evaluate.id}, which is failed; run both again: adctl retry {third.id}" in lines[0]
    assert lines[-1].strip().startswith(f"job {train.id}: it failed")
    assert (
        "(nan): the loss is nan at step 7; it is not tried again, since the same seed leads to" in lines[-1]
    )
    assert "; try a smaller learning rate" in lines[-1]
    again = case.store.jobs.retry(third.id)
    assert f"job {again.id} goes on for it" in case.why(third).lines[0]


@pytest.mark.parametrize("failure", list(FailureClass))
def test_every_failure_says_its_error_and_what_to_do(case: Case, failure: FailureClass):
    job = submit(case.store, max_attempts=1)
    case.store.leases.finish(take(case.store), failed(failure, "this is what broke"))

    (line,) = case.why(job).lines

    assert f"({failure}): this is what broke; " in line
    assert "{" not in line


def test_every_attempt_of_a_failed_job_is_told(case: Case):
    job = submit(case.store, max_attempts=2)
    take(case.store, seconds=10)
    case.clock.advance(11)
    case.store.leases.reap()
    case.store.leases.finish(take(case.store, "w2"), failed(FailureClass.CRASH, "killed by SIGSEGV"))

    lines = case.why(job).lines

    assert f"adctl logs {job.id}" in lines[0]
    assert "; it is not tried again after 2 of 2 failures; " in lines[0]
    assert lines[1:] == (
        "attempt 1 on worker w1 was lost after 11s: its lease ran out; tried again, since the job is not to "
        "blame for its worker",
        "attempt 2 on worker w2 failed (crash) after 1s: killed by SIGSEGV; not tried again, since it has "
        "failed as often as it may",
    )


def test_what_was_made_of_each_failure_is_told_to_programs_too(case: Case):
    job = submit(case.store, max_attempts=3)
    for failure in (FailureClass.OOM, FailureClass.OOM, FailureClass.CODE):
        case.store.leases.finish(take(case.store), failed(failure))
        case.clock.advance(MINUTE)

    found = case.why(job).failures

    assert [(one.attempt, one.failure, one.sequel) for one in found] == [
        (1, FailureClass.OOM, Sequel.HALVE),
        (2, FailureClass.OOM, Sequel.RETRY),
        (3, FailureClass.CODE, Sequel.STOP),
    ]
    assert [one.why for one in found] == [
        "half as much at once may fit",
        "others may have held the memory",
        "the code stays as it is",
    ]


def test_a_running_job_says_what_it_was_told_of_its_batches_and_when_its_time_is_up(case: Case):
    case.online()
    submit(case.store, timeout=200.0)
    lease = take(case.store)
    case.clock.advance(50)
    case.store.leases.finish(lease, failed(FailureClass.OOM))
    case.clock.advance(MINUTE)
    lease = take(case.store)
    case.later(30)
    text = case.text(lease)
    assert "told to compute its batches in halves" in text
    assert "its time limit of 3m20s is used up in 2m, which ends it" in text


def test_a_job_that_was_given_back_says_by_whom_and_why(case: Case):
    case.online("w2")
    job = submit(case.store)
    lease = take(case.store, "w1")
    case.clock.advance(5)
    case.store.leases.give_back(lease, "worker w1 leaves")
    assert "attempt 1 on worker w1 was given back after 5s: worker w1 leaves" in case.why(job).lines


def test_a_running_job_says_where_since_when_how_far_and_when_it_was_last_heard_of(case: Case):
    case.online()
    submit(case.store)
    lease = take(case.store, seconds=30)
    case.clock.advance(20)
    case.store.artifacts.record_checkpoint(
        lease,
        CheckpointRecord(
            job_id=lease.job_id, attempt=1, step=10, prefix="p", manifest_sha256="a" * 64, size=1
        ),
    )
    case.store.leases.renew(lease, Progress(step=20, of=50, message="adapting"))
    case.clock.advance(5)

    assert case.why(lease).lines == (
        "it runs: attempt 1 on worker w1 (node n1), begun 25s ago, step 20 of 50, adapting; its last "
        "checkpoint is of step 10, 5s ago; last heard of 5s ago",
        "it should end in about 38s",
    )


def test_a_lease_that_is_not_renewed_says_when_the_job_is_queued_again(case: Case):
    case.online()
    submit(case.store)
    lease = take(case.store, seconds=30)
    case.clock.advance(25)

    text = case.text(lease)

    assert "its lease was not renewed for 25s: the job hangs, or worker w1 is dead or cut off" in text
    assert f"adctl logs {lease.job_id}" in text
    case.clock.advance(6)
    found = explain(case.client, lease.job)  # as it was read before a reaper came
    assert "its lease ran out" in "\n".join(found.lines)


def test_a_running_job_that_was_told_to_end_or_whose_worker_leaves_says_so(case: Case):
    case.online()
    submit(case.store)
    lease = take(case.store)
    case.store.jobs.cancel(lease.job_id)
    case.store.workers.drain("w1")
    case.clock.advance(3)
    kinds = [cause.kind.value for cause in case.why(lease).causes]
    assert kinds == ["running", "cancelling", "leaving"]
    assert "it was told to end 3s ago" in case.text(lease)


def test_how_a_job_ended_well_or_by_a_wish_is_said_too(case: Case):
    done, gone = submit(case.store), submit(case.store)
    lease = take(case.store)
    case.clock.advance(MINUTE)
    case.store.leases.finish(lease, SUCCESS)
    case.store.jobs.cancel(gone.id)
    case.clock.advance(2 * MINUTE)
    assert case.why(done).lines == ("it succeeded 2m ago, after 60s on worker w1",)
    assert case.why(gone).lines == (
        f"it was cancelled 2m ago; go on from its last checkpoint: adctl retry {gone.id}",
    )


def test_past_runs_tell_when_a_job_starts_after_those_before_it_and_ends(case: Case):
    case.online()
    submit(case.store)
    past = take(case.store)
    case.later(100)
    case.store.leases.finish(past, Outcome(outcome=AttemptOutcome.SUCCEEDED))
    submit(case.store)
    running = take(case.store)
    case.later(40)
    case.store.leases.renew(running)
    submit(case.store)
    job = submit(case.store)

    estimate = case.why(job).estimate

    assert estimate is not None
    assert estimate.starts_in == pytest.approx(60 + 100)
    assert estimate.ends_in == pytest.approx(60 + 100 + 100)
    assert estimate.words.startswith("it should start in about 3m and then take about 2m from 1 past run")
    case.store.queues.pause("default", "bob")
    assert case.why(job).estimate.words.startswith("once it runs it should take about 2m")  # type: ignore[union-attr]
