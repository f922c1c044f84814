"""Promises about how long a job will take: from jobs like it, scaled honestly, and nothing out of nothing."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from ad_platform.history import estimate, span
from ad_platform.records import Capabilities, Holding, Job, Outcome
from ad_platform.specs import DatasetRef, JobSpec, Submission
from ad_platform.states import AttemptOutcome, FailureClass, JobKind
from ad_platform.store.contract import Store
from ad_platform.store.engine import open_store
from clientkit import migrated
from store_cases import FakeClock

DATA = DatasetRef(dataset="parts", category="screw", fingerprint="f1", path="/images/parts/screw")
SPEC = JobSpec(
    kind=JobKind.TRAIN,
    detector="toy",
    dataset=DATA,
    config={"image_size": 64, "steps": 100, "epochs": None, "lr": 0.1},
)
CAN = Capabilities(worker="w1", node="n1", detectors=frozenset({"toy"}))


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def store(tmp_path: Path, clock: FakeClock) -> Iterator[Store]:
    opened = open_store(f"sqlite:///{migrated(tmp_path)}", clock=clock)
    opened.workers.hold(
        [
            Holding(node="n1", fingerprint=mark, dataset="parts", category="screw", path="/")
            for mark in ("f1", "f2")
        ]
    )
    yield opened
    opened.close()


def ran(
    store: Store,
    clock: FakeClock,
    seconds: float,
    spec: JobSpec = SPEC,
    *,
    device: str = "cpu",
    steps: int = 100,
    images: int = 10,
    crash_after: float = 0.0,
) -> Job:
    """Let a job have run for a while, perhaps after a crash."""
    store.jobs.submit([Submission(spec=spec, user="ann")])
    if crash_after:
        lease = store.leases.lease(CAN, 1e6)
        assert lease is not None
        clock.advance(crash_after)
        store.leases.finish(lease, Outcome(outcome=AttemptOutcome.FAILED, failure=FailureClass.CRASH))
        clock.advance(100.0)
    lease = store.leases.lease(CAN, 1e6)
    assert lease is not None
    store.leases.note(lease, {"device": device})
    clock.advance(seconds)
    result = {"steps": steps, "images": images}
    return store.leases.finish(lease, Outcome(outcome=AttemptOutcome.SUCCEEDED, result=result))


def config(**values: object) -> JobSpec:
    return replace(SPEC, config={**SPEC.config, **values})  # type: ignore[dict-item]


def test_nothing_is_said_where_nothing_like_it_has_succeeded(store: Store, clock: FakeClock):
    ran(store, clock, 60.0, replace(SPEC, kind=JobKind.EVALUATE))
    store.jobs.submit([Submission(spec=SPEC, user="ann")])

    assert estimate(store, SPEC) is None


def test_the_middle_of_runs_with_the_same_settings_counts(store: Store, clock: FakeClock):
    for seconds in (60.0, 240.0, 100.0):
        ran(store, clock, seconds)
    ran(store, clock, 9999.0, config(lr=0.2))

    found = estimate(store, replace(SPEC, seed=5))

    assert found is not None
    assert (found.seconds, found.runs) == (pytest.approx(100.0), 3)
    assert found.words == "about 2m from 3 past runs"


def test_all_attempts_of_a_job_count_but_not_the_wait_between_them(store: Store, clock: FakeClock):
    ran(store, clock, 60.0, crash_after=30.0)

    assert estimate(store, SPEC).seconds == pytest.approx(90.0)  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("wanted", "images", "seconds", "words"),
    [
        (config(steps=300), None, 180.0, "about 3m from 1 past run, scaled"),
        (config(image_size=128), None, 240.0, "about 4m from 1 past run, scaled"),
        (
            replace(SPEC, dataset=replace(DATA, fingerprint="f2")),
            40,
            60.0,
            "about 60s from 1 past run, scaled",
        ),
        (config(lr=0.2), None, 60.0, "about 60s from 1 past run with other settings, roughly scaled"),
    ],
)
def test_other_amounts_are_scaled_and_that_is_said(store, clock, wanted, images, seconds, words):
    ran(store, clock, 60.0)

    found = estimate(store, wanted, images)

    assert (found.seconds, found.words) == (pytest.approx(seconds), words)


def test_epochs_and_fits_without_steps_are_scaled_by_the_number_of_images(store: Store, clock: FakeClock):
    once = config(steps=None, epochs=2)
    ran(store, clock, 60.0, once, images=10)

    other = replace(config(steps=None, epochs=4), dataset=replace(DATA, fingerprint="f2"))
    assert estimate(store, other, 20).seconds == pytest.approx(240.0)  # type: ignore[union-attr]


def test_runs_on_another_device_do_not_count(store: Store, clock: FakeClock):
    ran(store, clock, 600.0)
    ran(store, clock, 6.0, device="cuda:0")

    on_cpu = estimate(store, replace(SPEC, device="cpu"))
    on_the_newest = estimate(store, SPEC)

    assert on_cpu is not None
    assert on_the_newest is not None
    assert (on_cpu.seconds, on_the_newest.seconds) == (pytest.approx(600.0), pytest.approx(6.0))


def test_a_run_that_found_all_stages_fitted_tells_of_its_equals_alone(store: Store, clock: FakeClock):
    ran(store, clock, 60.0)
    ran(store, clock, 1.0, steps=0)

    again, other_seed = estimate(store, SPEC), estimate(store, replace(SPEC, seed=5))

    assert again is not None
    assert other_seed is not None
    assert (again.seconds, other_seed.seconds) == (pytest.approx(1.0), pytest.approx(60.0))
    assert "found everything fitted" in again.words


def trial(measure: str = "validation/image_auroc", **values: object) -> JobSpec:
    return replace(config(**values), kind=JobKind.TRIAL, measures=(measure,))


def test_a_trial_takes_as_long_as_those_that_did_as_much_whatever_their_settings(
    store: Store, clock: FakeClock
):
    ran(store, clock, 600.0, trial(lr=0.5))  # it trained, for those that came after it
    ran(store, clock, 10.0, trial(lr=0.6), steps=0)
    ran(store, clock, 14.0, trial(lr=0.7), steps=0)
    ran(store, clock, 99.0, config(lr=0.8))  # no trial

    other, same = estimate(store, trial(lr=0.9, steps=300)), estimate(store, trial(lr=0.6))

    assert other is not None
    assert same is not None
    assert (other.seconds, other.runs) == (pytest.approx(12.0), 2)  # steps that are not made cost nothing
    assert (same.seconds, same.words) == (pytest.approx(10.0), "about 10s from 1 past run")


def test_a_trial_that_measures_something_else_tells_of_another_only_where_nothing_better_is_known(
    store: Store, clock: FakeClock
):
    ran(store, clock, 80.0, trial("test/pixel_auroc", lr=0.5), steps=0)
    assert estimate(store, trial(lr=0.5)).seconds == pytest.approx(80.0)  # type: ignore[union-attr]

    ran(store, clock, 10.0, trial(lr=0.6), steps=0)
    assert estimate(store, trial(lr=0.5)).seconds == pytest.approx(10.0)  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.2, "1s"), (89, "89s"), (90, "2m"), (3600, "60m"), (5400, "1h30m"), (86400 * 2 + 3600 * 5, "2d5h")],
)
def test_a_length_of_time_is_said_shortly(seconds, words):
    assert span(seconds) == words
