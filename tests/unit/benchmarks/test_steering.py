"""Benchmarks from submit to end: nothing twice, nothing known computed again, only failures on retry."""

import pytest

from ad_platform.errors import Conflict, UnknownName
from ad_platform.records import Job
from ad_platform.requests import TrainRequest
from ad_platform.states import JobKind, JobState
from benchmark_cases import CATEGORIES, Yard, data, on_test


def places(jobs: list[Job]) -> list[tuple[str, str, int]]:
    return [(job.spec.detector, job.spec.dataset.category, job.spec.seed) for job in jobs]


def test_a_benchmark_is_ordinary_jobs_in_its_group_each_evaluation_behind_its_training(yard: Yard) -> None:
    made = yard.submit(name="tables")
    jobs = yard.store.jobs.search(group="tables", oldest_first=True)
    assert len(jobs) == 24
    for train, evaluation in zip(jobs[::2], jobs[1::2], strict=True):
        assert (train.kind, evaluation.kind) == (JobKind.TRAIN, JobKind.EVALUATE)
        assert evaluation.needs == (train.id,) == (evaluation.spec.source,)
        assert evaluation.key == f"{train.key}/evaluate"
        assert train.tags["benchmark"] == "tables"
    assert jobs[0].key == "benchmark/tables/toy/screw/0"
    view = yard.view(made)
    assert (view.state, view.open, view.done) == ("waiting", 12, 0)
    yard.work(1)
    assert yard.view(made).state == "running"
    yard.work()
    view = yard.view(made)
    assert (view.state, view.done, view.known, view.failed) == ("complete", 12, 0, 0)
    assert view.cell("other", "carpet", 1).metrics["image_auroc"] == pytest.approx(0.96)
    assert view.cell("other", "carpet", 1).intervals["image_auroc"] == pytest.approx((0.94, 0.98))


def test_the_same_submit_again_gives_one_benchmark(yard: Yard) -> None:
    first = yard.submit(key="nightly")
    assert yard.submit(key="nightly") == first
    assert yard.submit() == first  # the very same is there
    assert yard.submit(name=first.name) == first
    assert len(yard.store.jobs.search()) == 24
    assert len(yard.benchmarks.list()) == 1


def test_the_same_submit_by_other_rules_is_another_benchmark(yard: Yard) -> None:
    first = yard.submit()
    yard.publish(evaluation=2)
    second = yard.submit()
    assert second.name != first.name
    assert len(yard.store.jobs.search()) == 48


def test_a_client_that_dies_before_it_hears_the_answer_doubles_nothing(yard: Yard) -> None:
    plan = yard.benchmarks.plan(yard.request(key="nightly"))
    raced = yard.benchmarks.plan(yard.request(key="nightly"))  # planned before the other one was written
    first = yard.benchmarks.submit(plan)
    assert yard.benchmarks.submit(raced) == first
    assert yard.benchmarks.submit(plan) == first
    assert len(yard.store.jobs.search()) == 24


def test_results_that_are_there_are_taken_over_and_only_the_rest_is_computed(yard: Yard) -> None:
    yard.submit(models=["toy"], name="first")
    yard.work()
    del yard.fitted[:], yard.scored[:]
    plan = yard.benchmarks.plan(yard.request(name="second", seeds=3))
    assert len(plan.missing) == 18 - 6
    made = yard.benchmarks.submit(plan)
    assert len(yard.store.jobs.search(group="second")) == 24
    view = yard.view(made)
    assert (view.known, view.done, view.open) == (6, 6, 12)
    assert view.cell("toy", "screw", 1).taken
    assert view.cell("toy", "screw", 1).metrics["image_auroc"] == pytest.approx(0.81)
    yard.work()
    assert len(yard.fitted) == len(yard.scored) == 12
    assert ("toy", "screw", 0) not in places(yard.fitted)
    assert yard.view(made).state == "complete"


def test_the_best_of_a_benchmark_may_be_one_that_it_found_done(yard: Yard) -> None:
    yard.submit(models=["other"], name="first")
    yard.work()
    made = yard.submit(models=["other"], name="second")
    assert yard.store.jobs.search(group="second") == []
    assert yard.client.is_group("second")
    assert not yard.client.is_group(made.id[:8])
    found = yard.client.best_of("second", "test/image_auroc", "screw")
    assert [(one.job.spec.seed, one.among, one.group) for one in found] == [(1, 2, "second")]
    yard.submit(name="third")
    yard.work()
    (best,) = yard.client.best_of("third", "test/image_auroc", "screw")
    assert (best.job.spec.detector, best.among) == ("other", 4)


def test_an_evaluation_by_submit_train_is_taken_over_too(yard: Yard) -> None:
    yard.client.submit_train(TrainRequest(detector="toy", dataset=CATEGORIES[0], seed=1))
    yard.work()
    plan = yard.benchmarks.plan(yard.request(models=["toy"]))
    assert [(cell.category, cell.seed) for cell in plan.spec.cells if cell.taken] == [("screw", 1)]


@pytest.mark.parametrize("what", ["evaluation", "decoding", "splits", "source"])
def test_a_result_by_other_rules_is_not_taken_over(yard: Yard, what: str) -> None:
    yard.submit(models=["toy"], name="first")
    yard.work()
    yard.publish(**{what: 99})
    assert len(yard.benchmarks.plan(yard.request(models=["toy"], name="second")).missing) == 6


@pytest.mark.parametrize(
    "more",
    [
        {"settings": ["lr=0.5"]},
        {"holdout": "20/20"},
        {"seed": 10},
        {"device": "cpu"},
        {"categories": [data(one.category, content="new") for one in CATEGORIES]},
    ],
)
def test_a_result_of_anything_else_is_not_taken_over(yard: Yard, more: dict[str, object]) -> None:
    yard.submit(models=["toy"], name="first")
    yard.work()
    assert len(yard.benchmarks.plan(yard.request(models=["toy"], name="second", **more)).missing) == 6


def test_a_cell_that_fails_leaves_the_others_alone_and_retry_runs_only_it(yard: Yard) -> None:
    made = yard.submit(name="tables")
    yard.work(
        fails=lambda job: (
            (job.kind, *places([job])[0])
            in (
                (JobKind.TRAIN, "toy", "grid", 1),
                (JobKind.EVALUATE, "other", "screw", 0),
            )
        )
    )
    view = yard.view(made)
    assert (view.state, view.done, view.failed) == ("incomplete", 10, 2)
    assert "it broke" in view.cell("toy", "grid", 1).error
    del yard.fitted[:], yard.scored[:]
    again = yard.benchmarks.retry("tables")
    assert len(again) == 2
    with pytest.raises(Conflict, match="benchmark tables is still at work, and nothing of it has failed"):
        yard.benchmarks.retry("tables")
    yard.work()
    assert places(yard.fitted) == [("toy", "grid", 1)]
    assert sorted(places(yard.scored)) == [("other", "screw", 0), ("toy", "grid", 1)]
    view = yard.view(made)
    assert (view.state, view.done) == ("complete", 12)
    with pytest.raises(Conflict, match="benchmark tables has no failed cell"):
        yard.benchmarks.retry("tables")


def test_a_cell_may_fail_more_than_once(yard: Yard) -> None:
    made = yard.submit(models=["toy"], categories=CATEGORIES[:1], seeds=1)
    for _ in range(3):
        yard.work(fails=lambda job: job.kind is JobKind.TRAIN)
        assert yard.view(made).state == "incomplete"
        yard.benchmarks.retry(made.name)
    yard.work()
    assert yard.view(made).state == "complete"


def test_cancel_ends_what_is_open_and_keeps_what_is_done(yard: Yard) -> None:
    made = yard.submit()
    yard.work(5)
    running = yard.lease()
    view = yard.benchmarks.cancel(made.name)
    assert running is not None
    assert yard.store.jobs.get(running.job_id).cancel_requested
    yard.do(running)  # which ends it cancelled
    view = yard.view(made)
    assert (view.state, view.open) == ("cancelled", 0)
    assert view.done + view.count(JobState.CANCELLED) == 12
    assert view.count(JobState.FAILED) == 0
    with pytest.raises(Conflict, match="has nothing that runs or waits"):
        yard.benchmarks.cancel(made.name)
    yard.benchmarks.retry(made.name)
    yard.work()
    assert yard.view(made).state == "complete"


def test_settings_that_test_images_chose_are_marked_in_every_cell(yard: Yard) -> None:
    made = yard.submit(models=["toy:paper", "other"], categories=CATEGORIES[:2])
    yard.work()
    view = yard.view(made)
    assert {cell.model for cell in view.cells if cell.selected_on == "test"} == {"toy:paper"}
    assert all(on_test(job) for job in yard.fitted if job.spec.preset == "paper")


def test_a_benchmark_is_found_by_name_and_last(yard: Yard) -> None:
    made = yard.submit(name="tables")
    assert yard.benchmarks.find("@last") == yard.benchmarks.find("TABLES") == made
    with pytest.raises(UnknownName, match="no benchmark named 'tabels'; did you mean tables"):
        yard.benchmarks.find("tabels")


def test_a_kept_view_of_jobs_that_are_gone_is_no_crash(yard: Yard) -> None:
    made, _ = yard.store.benchmarks.create(
        type(yard.submit())(
            id="x", name="bare", spec=yard.benchmarks.plan(yard.request(seed=9)).spec.to_json()
        ),
        [],
    )
    view = yard.view(made)
    assert (view.state, view.failed) == ("incomplete", 12)
    assert view.cells[0].error == "its jobs are gone"
