"""The results of benchmarks are put together as categories get ready, once, whoever does it."""

import csv
import io
from pathlib import Path

import numpy as np
import pytest

from ad_detectors.metrics.bootstrap import Evidence
from ad_platform.benchmarks.viewing import BenchmarkView
from ad_platform.records import Benchmark
from ad_platform.specs import JobSpec
from ad_platform.states import JobKind
from ad_workers.benchmarking.comparing import Comparer, across
from ad_workers.benchmarking.following import Follower
from benchmark_cases import CATEGORIES, Yard, data


def scores(spec: JobSpec) -> Evidence:
    """Forty images; "other" tells them apart far better on screws, and as well on the rest."""
    better = spec.detector == "other" and spec.dataset.category == "screw"
    random = np.random.default_rng([spec.seed, len(spec.dataset.category)])
    labels = np.arange(40) % 2 == 1
    values = random.normal(size=40) + labels * (4.0 if better else 0.3)
    return Evidence(values.astype(np.float32), labels, pictures=tuple(map(str, range(40))))


@pytest.fixture
def land(yard: Yard) -> Yard:
    yard.evidence = scores
    return yard


def follow(yard: Yard, owner: str = "me", turns: int = 50) -> None:
    """Follow until nothing is left to be done at once."""
    follower = Follower(yard.store, yard.client.storage, owner)
    for _ in range(turns):
        more = [follower.follow(one) for one in yard.store.benchmarks.to_follow()]
        if not any(more):
            return
        follower._next.clear()
    raise AssertionError("it never ends")


def of(yard: Yard, made: Benchmark) -> BenchmarkView:
    return yard.view(made)


def results(yard: Yard, made: Benchmark, folder: Path) -> list[dict[str, str]]:
    bundle = of(yard, made).benchmark.summary["bundle"]
    assert isinstance(bundle, dict)
    manifest = yard.client.storage.fetch(str(bundle["prefix"]), folder)
    assert manifest.sha256 == bundle["manifest_sha256"]
    assert {"results.csv", "leaderboard.md", "leaderboard.csv"} == set(manifest.files)
    return list(csv.DictReader(io.StringIO((folder / "results.csv").read_text())))


def test_models_are_compared_on_each_category_and_the_tables_stored(land: Yard, tmp_path: Path) -> None:
    made = land.submit()
    land.work()
    follow(land)
    view = of(land, made)
    assert view.benchmark.finished_at is not None
    found = {one.category: one for one in view.comparisons if one.metric == "image_auroc"}
    assert found.keys() == {"screw", "carpet", "grid"}
    assert (found["screw"].first, found["screw"].second) == ("toy", "other")
    assert found["screw"].differs
    assert found["screw"].tests == 3
    assert found["screw"].corrected == pytest.approx(3 * found["screw"].p)  # type: ignore[operator]
    assert found["screw"].difference < found["screw"].high < 0  # type: ignore[operator]
    assert (found["screw"].images, found["screw"].seeds) == (40, 2)
    assert not found["grid"].differs
    assert found["grid"].difference == 0
    pixels = next(one for one in view.comparisons if one.metric == "aupro_30")
    assert pixels.difference is None
    assert "not measured by both" in pixels.trouble
    rows = results(land, made, tmp_path / "out")
    assert len(rows) == 12
    assert rows[0]["category"] == "screw"
    assert rows[0]["category_type"] == "object"
    assert rows[0]["img_auc"] == repr(0.8)
    assert float(rows[0]["img_auc_high"]) == pytest.approx(0.82)
    assert {row["model"] for row in rows} == {"toy", "other"}


def test_too_few_categories_are_not_tested_over_and_that_is_said(land: Yard) -> None:
    made = land.submit()
    land.work()
    follow(land)
    (one,) = [one for one in of(land, made).across if one.metric == "image_auroc"]
    assert (one.p, one.categories, one.differing) == (None, 3, 3)
    assert one.trouble == "3 categories differ, 6 must for a test"
    assert one.difference == pytest.approx(-0.05)


def test_many_categories_are_tested_over(land: Yard) -> None:
    many = [data(name) for name in ("screw", "carpet", "grid", "tile", "wood", "leather", "pill")]
    land.hold(many)
    made = land.submit(categories=many, seeds=1)
    land.work()
    follow(land)
    (one,) = [one for one in of(land, made).across if one.metric == "image_auroc"]
    assert one.p == pytest.approx(2 / 2**7)
    assert one.differs
    assert across(of(land, made), "other", "toy", "image_auroc", "mvtec").difference == pytest.approx(0.05)


def test_a_category_is_compared_as_soon_as_nothing_of_it_is_open(land: Yard) -> None:
    made = land.submit(categories=CATEGORIES[:2])
    land.work(8)  # both models on screws
    follow(land)
    view = of(land, made)
    assert {one.category for one in view.comparisons} == {"screw"}
    assert view.across == ()
    assert view.benchmark.finished_at is None
    assert view.benchmark.summary["sums"]["done"] == 4  # type: ignore[index,call-overload]
    land.work()
    follow(land)
    assert of(land, made).benchmark.finished_at is not None


def test_what_was_compared_is_not_compared_again(land: Yard, monkeypatch: pytest.MonkeyPatch) -> None:
    land.submit(categories=CATEGORIES[:2])
    land.work(8)
    follow(land)
    compared = []
    honest = Comparer.compare
    monkeypatch.setattr(
        Comparer, "compare", lambda self, pair: (compared.append(pair.category), honest(self, pair))[1]
    )
    land.work()
    follow(land)
    follow(land, "somebody else")
    assert compared == ["carpet"]


def test_a_retry_opens_a_benchmark_and_its_end_brings_new_tables(land: Yard, tmp_path: Path) -> None:
    made = land.submit()
    land.work(fails=lambda job: job.kind is JobKind.TRAIN and job.spec.dataset.category == "screw")
    follow(land)
    first = of(land, made)
    assert first.benchmark.finished_at is not None
    assert first.state == "incomplete"
    told = {one.category: one.trouble for one in first.comparisons if one.metric == "image_auroc"}
    assert told == {"screw": "no seed has a result of both", "carpet": "", "grid": ""}
    rows = results(land, made, tmp_path / "first")
    assert [row["img_auc"] for row in rows if row["state"] == "failed"] == ["n/a"] * 4
    assert all("it broke" in row["error"] for row in rows if row["state"] == "failed")
    land.benchmarks.retry(made.name)
    follow(land)
    assert of(land, made).benchmark.finished_at is None
    land.work()
    follow(land)
    last = of(land, made)
    assert last.benchmark.version > first.benchmark.version
    assert not any(one.trouble for one in last.comparisons if one.metric == "image_auroc")
    assert {row["state"] for row in results(land, made, tmp_path / "last")} == {"succeeded"}


def test_a_finished_benchmark_is_left_alone(land: Yard) -> None:
    made = land.submit()
    land.work()
    follow(land)
    before = of(land, made).benchmark
    follow(land, "other")
    land.store.jobs.submit([])
    assert of(land, made).benchmark == before
    assert land.store.benchmarks.to_follow() == []


def test_a_benchmark_of_nothing_new_is_finished_at_once(land: Yard, tmp_path: Path) -> None:
    land.submit(name="first")
    land.work()
    made = land.submit(name="second", models=("other", "toy"))
    follow(land)
    view = of(land, made)
    assert (view.state, view.known) == ("complete", 12)
    assert {row["taken_over"] for row in results(land, made, tmp_path / "out")} == {"yes"}


def test_somebody_else_at_it_is_left_to_it(land: Yard) -> None:
    made = land.submit()
    land.work()
    assert land.store.benchmarks.claim(made.id, "somebody", 60.0)
    assert not Follower(land.store, land.client.storage, "me").follow(made)
    assert of(land, made).benchmark.finished_at is None


def test_a_turn_ends_in_time_and_the_next_goes_on(land: Yard) -> None:
    made = land.submit()
    land.work()
    ticks = iter(range(0, 10_000, 10))
    follower = Follower(land.store, land.client.storage, "me", clock=lambda: float(next(ticks)))
    assert follower.follow(made)
    assert len({one.category for one in of(land, made).comparisons}) <= 1
    follow(land)
    assert len({one.category for one in of(land, made).comparisons}) == 3


def test_results_that_left_no_evidence_say_so(yard: Yard) -> None:
    made = yard.submit()
    yard.work()
    follow(yard)
    view = of(yard, made)
    assert view.benchmark.finished_at is not None
    assert all("never finished, or was removed" in one.trouble for one in view.comparisons)
