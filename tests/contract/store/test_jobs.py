"""What people ask for and see: submit, find, search, cancel, retry."""

from dataclasses import replace

import pytest

from ad_platform.errors import AmbiguousId, IllegalTransition, InvalidValue, UnknownName
from ad_platform.specs import JobSpec, Submission
from ad_platform.states import FailureClass, JobKind, JobState
from ad_platform.store.contract import Store
from ad_platform.store.engine import open_store
from store_cases import MINUTE, SPEC, START, SUCCESS, FakeClock, asked, failed, submit, take


def test_a_submitted_job_comes_back_as_it_was_asked_for(store: Store) -> None:
    wanted = Submission(
        spec=SPEC,
        user="ann",
        key="k",
        name="first",
        tags={"why": "naïve ✓"},
        group="g",
        queue="fast",
        priority=7,
        gpus=1,
        memory_mb=5,
        max_attempts=2,
        stall_after=9.5,
        not_before=3.0,
        code={"commit": "abc"},
    )
    job = store.jobs.submit([wanted])[0]
    same = {name: getattr(job, name) for name in Submission.__dataclass_fields__ if name != "needs"}
    assert same == {name: getattr(wanted, name) for name in same}
    assert (job.state, job.attempt, job.failures, job.created_at) == (JobState.QUEUED, 0, 0, START)
    assert len(job.id) == 16
    assert set(job.id) <= set("0123456789abcdef")
    assert store.jobs.get(job.id) == job


def test_jobs_are_numbered_in_the_order_of_submission(store: Store) -> None:
    jobs = store.jobs.submit([asked(name=str(n)) for n in range(5)])
    assert [job.name for job in jobs] == ["0", "1", "2", "3", "4"]
    assert sorted(job.seq for job in jobs) == [job.seq for job in jobs]


def test_submitting_nothing_gives_nothing(store: Store) -> None:
    assert store.jobs.submit([]) == []


def test_a_submission_is_all_or_none(store: Store) -> None:
    with pytest.raises(UnknownName, match="no job named 'missing'"):
        store.jobs.submit([asked(), asked(needs=("missing",))])
    assert store.jobs.search() == []
    assert store.outbox.owed() == []


def test_the_same_key_twice_gives_the_first_job_unchanged(store: Store) -> None:
    first = submit(store, key="k", name="one")
    assert submit(store, key="k", name="two", priority=5) == first
    assert store.jobs.submit([asked(key="k"), asked(key="k")]) == [first, first]
    assert len(store.jobs.search()) == 1
    assert len(store.outbox.owed()) == 1


def test_without_a_key_every_submission_is_a_new_job(store: Store) -> None:
    assert submit(store).id != submit(store).id


def test_a_job_waits_for_what_it_needs_and_then_queues(store: Store) -> None:
    first = submit(store, name="train")
    second = submit(store, name="evaluate", needs=(first.id, first.id))
    assert (second.state, second.needs) == (JobState.WAITING, (first.id,))
    assert [entry.job_id for entry in store.outbox.owed()] == [first.id]
    store.leases.finish(take(store), SUCCESS)
    assert store.jobs.get(second.id).state is JobState.QUEUED
    assert [entry.job_id for entry in store.outbox.owed()] == [second.id]


def test_a_job_with_two_needs_waits_for_both(store: Store) -> None:
    one, two, both = store.jobs.submit([asked(), asked(), asked(needs=("#1", "#0"))])
    assert both.needs == (two.id, one.id)
    store.leases.finish(take(store), SUCCESS)
    assert store.jobs.get(both.id).state is JobState.WAITING
    store.leases.finish(take(store), SUCCESS)
    assert store.jobs.get(both.id).state is JobState.QUEUED


def test_a_job_whose_needs_succeeded_already_is_queued_at_once(store: Store) -> None:
    first = submit(store)
    store.leases.finish(take(store), SUCCESS)
    assert submit(store, needs=(first.id,)).state is JobState.QUEUED


@pytest.mark.parametrize("ended", [JobState.FAILED, JobState.CANCELLED])
def test_a_job_that_needs_an_ended_one_is_born_failed(store: Store, ended: JobState) -> None:
    first = submit(store)
    if ended is JobState.CANCELLED:
        store.jobs.cancel(first.id)
    else:
        store.leases.finish(take(store), failed(FailureClass.CODE))
    born = submit(store, needs=(first.id,))
    assert (born.state, born.failure) == (JobState.FAILED, FailureClass.NEEDS)
    assert born.error == f"needs job {first.id}, which is {ended}"
    assert born.finished_at == START
    assert store.jobs.events(born.id)[-1].data["state"] == "failed"
    assert born.id not in [entry.job_id for entry in store.outbox.owed()]


def test_a_number_sign_means_an_earlier_submission_of_the_call_as_need_and_as_source(store: Store) -> None:
    evaluate = replace(SPEC, kind=JobKind.EVALUATE, source="#0")
    train, scored = store.jobs.submit([asked(key="t"), asked(spec=evaluate, needs=("#0",))])
    assert (scored.needs, scored.spec.source) == ((train.id,), train.id)
    again = store.jobs.submit([asked(key="t"), asked(spec=evaluate, needs=("#0",))])
    assert again[1].spec.source == train.id


@pytest.mark.parametrize("need", ["#0", "#1", "#7"])
def test_a_number_sign_past_the_earlier_ones_is_refused(store: Store, need: str) -> None:
    with pytest.raises(UnknownName, match="no earlier submission of this call named"):
        submit(store, needs=(need,))


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"priority": 101}, r"-100..100, not 101"),
        ({"gpus": -1}, "gpus must lie"),
        ({"memory_mb": -1}, "0 MB or more"),
        ({"max_attempts": 0}, r"1..1000, not 0"),
        ({"timeout": 0.0}, r"timeout must be more than 0 seconds, not 0.0"),
        ({"timeout": float("nan")}, r"timeout must be more than 0 seconds"),
        ({"stall_after": 0.0}, "more than 0 seconds"),
        ({"stall_after": float("nan")}, "more than 0 seconds"),
        ({"not_before": float("inf")}, "must be a time"),
        ({"user": ""}, "set ADCTL_USER"),
        ({"queue": ""}, "needs a name"),
        ({"name": "a\0b"}, "plain text"),
        ({"group": "\udcff"}, "plain text"),
    ],
)
def test_a_submission_nobody_could_honour_is_refused_in_one_line(
    store: Store, values: dict[str, object], said: str
) -> None:
    with pytest.raises(InvalidValue, match=said) as caught:
        submit(store, **values)
    assert "\n" not in str(caught.value)
    assert store.jobs.search() == []


def test_a_job_is_found_by_the_start_of_its_id_and_by_last(store_url: str) -> None:
    ids = iter(["aa00000000000001", "aa00000000000002", "b000000000000003", "f" * 16])
    store = open_store(store_url, new_id=lambda: next(ids))
    one, _, three, last = (submit(store) for _ in range(4))
    assert store.jobs.find(one.id) == one
    assert store.jobs.find("b") == three
    assert store.jobs.find("B0") == three
    assert store.jobs.find("ff") == last
    assert store.jobs.find("@last") == last
    with pytest.raises(AmbiguousId, match="aa00000000000001, aa00000000000002"):
        store.jobs.find("aa")
    for unknown in ("c", "", "%", "b_", "zz", "b0000000000000030"):
        with pytest.raises(UnknownName):
            store.jobs.find(unknown)
    with pytest.raises(UnknownName):
        store.jobs.get("aa")
    store.close()


def test_last_of_no_jobs_is_unknown(store: Store) -> None:
    with pytest.raises(UnknownName, match="there are none yet"):
        store.jobs.find("@last")


def test_search_filters_and_goes_from_new_to_old(store: Store) -> None:
    train = submit(store, user="ann", group="g")
    evaluate = submit(
        store, spec=replace(SPEC, kind=JobKind.EVALUATE), user="bob", needs=(train.id,), group="g"
    )
    other = submit(store, user="bob")
    jobs = store.jobs

    def ids(**values: object) -> list[str]:
        return [job.id for job in jobs.search(**values)]  # type: ignore[arg-type]

    assert ids() == [other.id, evaluate.id, train.id]
    assert ids(limit=2) == [other.id, evaluate.id]
    assert ids(before_seq=evaluate.seq) == [train.id]
    assert ids(states=[JobState.WAITING]) == [evaluate.id]
    assert ids(states=[JobState.WAITING, JobState.QUEUED], user="bob") == [other.id, evaluate.id]
    assert ids(kind=JobKind.EVALUATE) == [evaluate.id]
    assert ids(group="g") == [evaluate.id, train.id]
    assert ids(needs=train.id) == [evaluate.id]
    assert ids(user="nobody") == []


def test_search_finds_jobs_by_what_they_were_asked_for_with(store: Store) -> None:
    def on(dataset: str, category: str, detector: str = "ddad") -> JobSpec:
        data = replace(SPEC.dataset, dataset=dataset, category=category)
        return replace(SPEC, dataset=data, detector=detector)

    screw = submit(store, spec=on("mvtec", "screw"), name="night 1", tags={"a": "1", "b": "2"})
    nut = submit(store, spec=on("MVTec", 'nu"t%'), name="night_2", tags={"b": "1"}, queue="gold")
    other = submit(store, spec=on("visa", "screw", "padim"), name="day", tags={'x,"a': "1"})
    take(store, "w7")

    def found(**values: object) -> set[str]:
        return {job.id for job in store.jobs.search(**values)}  # type: ignore[arg-type]

    assert found(detector="DDAD") == {screw.id, nut.id}
    assert found(dataset="mvtec") == {screw.id, nut.id}
    assert found(dataset="mvte") == found(category="scre") == found(category="scr%") == set()
    assert found(category="Screw") == {screw.id, other.id}
    assert found(category='nu"t%') == {nut.id}
    assert found(dataset="visa", category="screw") == {other.id}
    assert found(name="night*") == {screw.id, nut.id}
    assert found(name="night_*") == {nut.id}
    assert found(name="night") == set()
    assert found(queue="gold") == {nut.id}
    assert found(worker="w7") == {screw.id}
    assert found(tags={"b": None}) == {screw.id, nut.id}
    assert found(tags={"a": "1"}) == {screw.id}
    assert found(tags={"a": "1", "b": "1"}) == set()


def test_search_can_leave_out_what_sweeps_have_submitted(store: Store) -> None:
    plain, keyed = submit(store), submit(store, key="sweeping")
    for key in ("sweep/5/0/0", "sweep/5/best/0", "stage/abc"):
        submit(store, key=key, group="s")

    assert len(store.jobs.search()) == 5
    assert [job.id for job in store.jobs.search(without_sweeps=True)] == [keyed.id, plain.id]


def test_search_goes_from_old_to_new_when_asked(store: Store) -> None:
    first, second, _ = submit(store), submit(store), submit(store)

    assert [job.id for job in store.jobs.search(oldest_first=True, limit=2)] == [first.id, second.id]


def test_count_names_every_state(store: Store) -> None:
    first = submit(store)
    submit(store, needs=(first.id,))
    submit(store)
    take(store)
    assert store.jobs.count() == {
        JobState.WAITING: 1,
        JobState.QUEUED: 1,
        JobState.RUNNING: 1,
        JobState.SUCCEEDED: 0,
        JobState.FAILED: 0,
        JobState.CANCELLED: 0,
    }


@pytest.mark.parametrize("waiting", [True, False])
def test_cancelling_a_job_nobody_runs_ends_it_at_once(store: Store, waiting: bool) -> None:
    first = submit(store)
    job = submit(store, needs=(first.id,) if waiting else ())
    cancelled = store.jobs.cancel(job.id)
    assert (cancelled.state, cancelled.finished_at) == (JobState.CANCELLED, START)
    assert store.jobs.cancel(job.id) == cancelled
    assert [event.kind for event in store.jobs.events(job.id)] == ["submitted", "cancelled"]


def test_cancelling_a_running_job_marks_it_once(store: Store) -> None:
    job = submit(store)
    take(store)
    marked = store.jobs.cancel(job.id)
    assert (marked.state, marked.cancel_requested) == (JobState.RUNNING, True)
    assert store.jobs.cancel(job.id) == marked
    kinds = [event.kind for event in store.jobs.events(job.id)]
    assert kinds == ["submitted", "leased", "cancel-requested"]


def test_cancelling_an_ended_job_changes_nothing(store: Store) -> None:
    job = submit(store)
    done = store.leases.finish(take(store), SUCCESS)
    assert store.jobs.cancel(job.id) == done


def test_cancelling_fails_everything_that_needs_the_job(store: Store) -> None:
    chain = store.jobs.submit([asked(), asked(needs=("#0",)), asked(needs=("#1",)), asked(needs=("#2",))])
    store.jobs.cancel(chain[1].id)
    states = [(job.state, job.failure) for job in map(store.jobs.get, [job.id for job in chain])]
    assert states == [
        (JobState.QUEUED, None),
        (JobState.CANCELLED, None),
        (JobState.FAILED, FailureClass.NEEDS),
        (JobState.FAILED, FailureClass.NEEDS),
    ]


def test_cancelling_an_unknown_job_says_so(store: Store) -> None:
    with pytest.raises(UnknownName, match="no job named 'ffff'"):
        store.jobs.cancel("ffff")


def test_a_retry_is_a_new_job_that_names_the_old_one(store: Store) -> None:
    old = submit(store, name="n", priority=3, tags={"a": "b"}, not_before=START - 1)
    store.leases.finish(take(store), failed(FailureClass.CODE))
    new = store.jobs.retry(old.id)
    assert (new.state, new.retry_of, new.key) == (JobState.QUEUED, old.id, f"retry:{old.id}")
    assert (new.spec, new.name, new.priority, new.tags, new.failures) == (old.spec, "n", 3, {"a": "b"}, 0)
    assert store.jobs.retry(old.id) == new
    assert store.jobs.get(old.id).state is JobState.FAILED
    assert store.jobs.events(old.id)[-1].data == {"job": new.id}
    assert len(store.jobs.events(old.id)) == 4


def test_a_retry_of_a_retry_makes_a_chain(store: Store) -> None:
    first = submit(store)
    store.jobs.cancel(first.id)
    second = store.jobs.retry(first.id)
    store.jobs.cancel(second.id)
    third = store.jobs.retry(second.id)
    assert third.retry_of == second.id
    assert store.jobs.retry(first.id).id == second.id


@pytest.mark.parametrize("state", [JobState.QUEUED, JobState.RUNNING, JobState.SUCCEEDED, JobState.WAITING])
def test_only_a_failed_or_cancelled_job_can_be_retried(store: Store, state: JobState) -> None:
    job = submit(store)
    if state is JobState.WAITING:
        job = submit(store, needs=(job.id,))
    elif state is not JobState.QUEUED:
        lease = take(store)
        if state is JobState.SUCCEEDED:
            store.leases.finish(lease, SUCCESS)
    with pytest.raises(IllegalTransition, match=f"job {job.id} is {state} and cannot become retried"):
        store.jobs.retry(job.id)


def test_retrying_a_job_retries_those_that_fell_with_it_and_their_sources(store: Store) -> None:
    evaluate = replace(SPEC, kind=JobKind.EVALUATE, source="#0")
    train, scored, after = store.jobs.submit(
        [asked(), asked(spec=evaluate, needs=("#0",)), asked(needs=("#1",))]
    )
    store.leases.finish(take(store), failed(FailureClass.CODE))
    new = store.jobs.retry(train.id)
    newer = {job.retry_of: job for job in store.jobs.search(limit=3)}
    assert newer[scored.id].needs == (new.id,)
    assert newer[scored.id].spec.source == new.id
    assert newer[after.id].needs == (newer[scored.id].id,)
    assert newer[scored.id].state is newer[after.id].state is JobState.WAITING


def test_retrying_a_job_retries_the_needs_that_failed_and_keeps_those_that_did_not(store: Store) -> None:
    good, bad, both = store.jobs.submit([asked(), asked(), asked(needs=("#0", "#1"))])
    store.leases.finish(take(store), SUCCESS)
    store.jobs.cancel(bad.id)
    new = store.jobs.retry(both.id)
    assert new.needs[0] == good.id
    assert store.jobs.get(new.needs[1]).retry_of == bad.id
    assert store.jobs.retry(bad.id).id == new.needs[1]
    assert len(store.jobs.search()) == 5


def test_retrying_leads_to_the_newest_retry_of_a_need(store: Store) -> None:
    need, job = store.jobs.submit([asked(), asked(needs=("#0",))])
    store.jobs.cancel(need.id)
    again = store.jobs.retry(need.id)
    first = next(one for one in store.jobs.search() if one.retry_of == job.id)
    store.jobs.cancel(again.id)
    assert store.jobs.get(first.id).failure is FailureClass.NEEDS
    new = store.jobs.retry(first.id)
    assert store.jobs.get(new.needs[0]).retry_of == again.id


def test_events_are_read_from_where_one_left_off(store: Store, clock: FakeClock) -> None:
    job = submit(store)
    seen = store.jobs.events(job.id)
    assert [(event.kind, event.at, event.attempt) for event in seen] == [("submitted", START, 0)]
    clock.advance(MINUTE)
    take(store)
    new = store.jobs.events(job.id, after_seq=seen[-1].seq)
    assert [(event.kind, event.at, event.attempt) for event in new] == [("leased", START + MINUTE, 1)]
    assert new[0].data["worker"] == "w1"


def test_the_store_tells_the_clock_it_was_given(store: Store, clock: FakeClock) -> None:
    clock.advance(5)
    assert store.now() == START + 5
