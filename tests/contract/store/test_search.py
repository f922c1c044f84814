"""A search gives what looking at every job would give, whatever is asked together."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from fnmatch import fnmatchcase
from itertools import pairwise, product
from random import Random
from typing import Any

import pytest

from ad_platform.records import Benchmark, Job, Outcome, Study
from ad_platform.requests import JobFilter, JobOrder
from ad_platform.specs import DatasetRef
from ad_platform.states import AttemptOutcome, JobKind, JobState, StudyState
from ad_platform.store import searching
from ad_platform.store.contract import Store
from store_cases import CAN, SPEC, FakeClock, failed, holding, submit

STATES = list(JobState)
MEASURE = "test/image_auroc"
LONG = "x" * 400
CHOICES: dict[str, Sequence[Any]] = {
    "states": ([JobState.FAILED], [JobState.SUCCEEDED, JobState.QUEUED], [JobState.QUEUED, JobState.WAITING]),
    "kind": (JobKind.TRAIN, JobKind.EVALUATE, JobKind.PREDICT),
    "user": ("ann", "Bob", "nobody", LONG),
    "group": ("g1", "g2", LONG + "a"),
    "name": ("night*", "*DAY*", "Night 1", "*", LONG + "y"),
    "detector": ("DDAD", "padim", "none"),
    "dataset": ("MVTEC", "visa"),
    "category": ("Screw", "nut", "bottle"),
    "queue": ("default", "gold"),
    "worker": ("w1", "w2", "none"),
    "tags": ({"a": None}, {"a": "1"}, {"a": "1", "b": None}, {"b": LONG + "1"}, {"none": None}),
    "without_sweeps": (True,),
    "oldest_first": (True,),
    "limit": (3, 1000),
}


@pytest.fixture
def many(store: Store, clock: FakeClock) -> list[Job]:
    """Jobs of every sort, the newest first."""
    dice = Random(7)
    for category in ("screw", "nut", "bottle"):
        store.workers.hold([replace(holding(fingerprint=category), category=category)])
    for number in range(70):
        category = dice.choice(("screw", "nut", "bottle"))
        data = DatasetRef(
            dataset=dice.choice(("MVTec", "visa")), category=category, fingerprint=category, path="/d"
        )
        key = dice.choice((None, f"k{number}", f"sweep/1/{number}/0", f"stage/{number}"))
        submit(
            store,
            spec=replace(
                SPEC,
                dataset=data,
                kind=dice.choice(list(JobKind)),
                detector=dice.choice(("ddad", "padim", "Mine")),
            ),
            user=dice.choice(("ann", "Bob", LONG)),
            group=dice.choice((None, "g1", LONG + "a", LONG + "b")),
            name=dice.choice(("", "Night 1", "night 22", "a day", LONG + "y")),
            tags=dice.choice(
                ({}, {"a": "1"}, {"a": "2", "b": LONG + "1"}, {"b": LONG + "2"}, {"benchmark": "n"})
            ),
            queue=dice.choice(("default", "default", "gold")),
            key=key,
        )
        clock.advance(60.0)
    can = replace(CAN, detectors=frozenset({"ddad", "padim", "Mine"}), queues=frozenset({"default", "gold"}))
    for number in range(45):
        lease = store.leases.lease(replace(can, worker=f"w{number % 2}"), 60.0)
        assert lease is not None
        measured = (
            {MEASURE: dice.choice((0.5, 0.7, 0.9)), "x/image_auroc": 0.1} if number % 3 else {"loss": 1}
        )
        done = Outcome(outcome=AttemptOutcome.SUCCEEDED, result={"metrics": measured, "images": 4})
        store.leases.finish(lease, done if number % 5 else replace(failed(), failure=failed().failure))
    return store.jobs.search(limit=1000)


def fits(job: Job, wanted: JobFilter) -> bool:
    """Say whether a job is one that a filter keeps."""
    data = job.spec.dataset
    swept = "benchmark" in job.tags or (job.key or "").startswith(("sweep/", "stage/"))
    checks: dict[str, Callable[[Any], bool]] = {
        "states": lambda states: job.state in states,
        "kind": lambda kind: job.kind is kind,
        "user": lambda user: job.user == user,
        "group": lambda group: job.group == group,
        "name": lambda name: fnmatchcase(job.name.lower(), name.lower()),
        "detector": lambda name: job.spec.detector.lower() == name.lower(),
        "dataset": lambda name: data.dataset.lower() == name.lower(),
        "category": lambda name: data.category.lower() == name.lower(),
        "queue": lambda queue: job.queue == queue,
        "worker": lambda worker: job.worker == worker,
        "tags": lambda tags: all(
            name in job.tags and value in (None, job.tags[name]) for name, value in tags.items()
        ),
        "without_sweeps": lambda without: not swept,
        "before_seq": lambda seq: job.seq < seq,
        "since": lambda since: job.created_at >= since,
    }
    return all(check(wanted[name]) for name, check in checks.items() if name in wanted)  # type: ignore[literal-required]


def found(store: Store, wanted: JobFilter) -> list[int]:
    return [job.seq for job in store.jobs.search(**wanted)]


def test_any_filters_together_keep_what_fits_each(store: Store, many: list[Job]) -> None:
    dice, kept = Random(3), 0
    for _ in range(250):
        names = dice.sample(list(CHOICES), dice.randint(1, 4))
        wanted: Any = {name: dice.choice(CHOICES[name]) for name in names}
        if dice.random() < 0.2:
            wanted["since"] = dice.choice(many).created_at
        if dice.random() < 0.2:
            wanted["before_seq"] = dice.choice(many).seq
        expected = [job.seq for job in many if fits(job, wanted)]
        if wanted.get("oldest_first"):
            expected.reverse()
        assert found(store, wanted) == expected[: wanted.get("limit", 100)], wanted
        kept += bool(expected)
    assert kept > 60


def test_names_that_are_looked_for_far_back_come_once_and_in_order(
    store: Store, many: list[Job], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(searching, "LOOKED_AT", 20)
    for wanted in ({"name": "night*"}, {"name": "*day"}, {"name": "n*", "oldest_first": True, "limit": 12}):
        expected = [job.seq for job in many if fits(job, wanted)]  # type: ignore[arg-type]
        if "oldest_first" in wanted:
            expected.reverse()
        assert found(store, wanted) == expected[: wanted.get("limit", 100)]  # type: ignore[arg-type, call-overload]


KEYS: dict[JobOrder, Callable[[Job], Any]] = {
    JobOrder.STATE: lambda job: STATES.index(job.state),
    JobOrder.KIND: lambda job: job.kind.value,
    JobOrder.DETECTOR: lambda job: job.spec.detector.lower(),
    JobOrder.DATA: lambda job: (job.spec.dataset.dataset.lower(), job.spec.dataset.category),
    JobOrder.NAME: lambda job: (not job.name, job.name.lower()[:200]),
    JobOrder.USER: lambda job: job.user[:200],
}


# In one test each, on the same jobs: to make them takes longer than to look for them.
SORTED: list[JobFilter] = [
    {},
    {"user": "ann"},
    {"states": [JobState.QUEUED]},
    {"worker": "w1", "kind": JobKind.TRAIN},
]
MEASURED: list[JobFilter] = [
    {},
    {"user": "ann"},
    {"kind": JobKind.TRAIN},
    {"group": "g1"},
    {"tags": {"a": None}},
    {"user": "nobody"},
]


def test_jobs_are_sorted_and_equal_ones_stand_newest_first(store: Store, many: list[Job]) -> None:
    for order, reverse, more in product(JobOrder, (False, True), SORTED):
        expected = sorted((job for job in many if fits(job, more)), key=KEYS[order], reverse=reverse)

        whole, first = (
            found(store, {**more, "sort": order, "reverse": reverse, **limit}) for limit in ({}, {"limit": 7})
        )

        assert whole == [job.seq for job in expected], (order, reverse, more)
        assert first == [job.seq for job in expected[:7]], (order, reverse, more)


def test_the_highest_measure_comes_first_and_jobs_without_it_come_last(
    store: Store, many: list[Job], monkeypatch: pytest.MonkeyPatch
) -> None:
    for looked_at, reverse, more in product((5, 2000), (False, True), MEASURED):
        monkeypatch.setattr(searching, "LOOKED_AT", looked_at)
        _check_measured(store, many, reverse, more)


def _check_measured(store: Store, many: list[Job], reverse: bool, more: JobFilter) -> None:
    fitting = [job for job in many if fits(job, more)]
    values = {job.seq: job.result.get("metrics", {}).get(MEASURE) for job in fitting}  # type: ignore[union-attr]
    having = sorted(
        (job for job in fitting if values[job.seq] is not None),
        key=lambda job: values[job.seq],  # type: ignore[arg-type, return-value]
        reverse=not reverse,
    )
    expected = [job.seq for job in [*having, *(job for job in fitting if values[job.seq] is None)]]

    whole, first = (
        found(store, {**more, "measure": MEASURE, "reverse": reverse, **limit})
        for limit in ({}, {"limit": 4})
    )
    assert whole == expected, (reverse, more)
    assert first == expected[:4], (reverse, more)


def test_what_can_be_measured_is_known_by_name(store: Store, many: list[Job]) -> None:
    assert store.jobs.measures() == sorted(["loss", MEASURE, "x/image_auroc"])


def test_since_holds_though_a_clock_was_set_back(store: Store, clock: FakeClock) -> None:
    early, late = submit(store), None
    clock.advance(3600.0)
    late = submit(store)
    clock.advance(-1800.0)
    between = submit(store)

    assert found(store, {"since": early.created_at + 1}) == [between.seq, late.seq]
    assert found(store, {"since": between.created_at + 1}) == [late.seq]


def test_sweeps_and_benchmarks_are_read_page_by_page_in_either_order(store: Store, clock: FakeClock) -> None:
    for number in range(5):
        spec = {"detector": ("ddad", "padim")[number % 2]}
        store.studies.create(
            Study(
                id=f"s{number}",
                name=f"s{number}",
                state=StudyState.RUNNING,
                spec=spec,
                user="ann",
                wanted=1,
                parallel=1,
            )
        )
        store.benchmarks.create(Benchmark(id=f"b{number}", name=f"b{number}", spec=spec, user="ann"), [])
        clock.advance(number % 2)  # some at the same moment
    for part in (store.studies, store.benchmarks):
        every: Any = part.find()
        assert {one.name for one in every} == part.names()
        for oldest_first in (False, True):
            ordered = part.find(oldest_first=oldest_first)
            assert [one.name for one in ordered] == [
                one.name for one in (every[::-1] if oldest_first else every)
            ]
            for one, following in pairwise(ordered):
                page = part.find(oldest_first=oldest_first, beyond=(one.created_at, one.name), limit=1)
                assert [each.name for each in page] == [following.name]
        assert {one.name[1:] for one in part.find(detector="PADIM")} == {"1", "3"}
        assert part.find(user="bob") == []
        assert {one.name[1:] for one in part.find(since=every[0].created_at)} == {"4"}
