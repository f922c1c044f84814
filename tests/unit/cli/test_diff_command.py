"""Promises of `adctl diff`: what differs between two jobs, by what it is about."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ad_detectors.metrics import evidence_file
from ad_detectors.metrics.bootstrap import Evidence, paired_difference
from ad_detectors.metrics.counts import count
from ad_platform.records import Outcome
from ad_platform.states import AttemptOutcome, FailureClass
from ad_platform.storage.layout import results_prefix
from clientkit import Bench

LABELS = np.array([False] * 12 + [True] * 12)
NAMES = tuple(f"{number}.png" for number in range(len(LABELS)))


def scored(spread: float, names: tuple[str, ...] = NAMES) -> Evidence:
    noise = np.random.default_rng(7).normal(size=len(LABELS))
    return Evidence((LABELS * spread + noise).astype(np.float32), LABELS, pictures=names)


@pytest.fixture
def train(adctl, desk: Bench, screw: Path):
    """Submits a training and its evaluation and lets both succeed; gives the id of the training."""

    def run(*options: str, metrics: dict[str, Any], evidence: Evidence | None = None, **facts: Any) -> str:
        called = adctl("submit", "train", "-m", "toy", "--data", str(screw), "--json", *options)
        first = called.json["jobs"][0]["id"]
        for result in ({"metrics": {"loss": 0.5}, "fit_seconds": 2.0}, metrics):
            lease = desk.lease()
            desk.store.leases.note(lease, {"torch": "2.14.0", "device": "cpu", **facts})
            if lease.job_id != first and evidence is not None:
                result = {**result, **published(desk, lease.job_id, evidence)}
            desk.store.leases.finish(lease, Outcome(outcome=AttemptOutcome.SUCCEEDED, result=result))
        return str(first)

    return run


def published(desk: Bench, job: str, evidence: Evidence) -> dict[str, Any]:
    folder = desk.home / f"results of {job}"
    folder.mkdir()
    evidence_file.save(evidence, folder)
    manifest = desk.client.storage.publish(results_prefix(job, 1), folder)
    return {"bundle": manifest.prefix, "manifest_sha256": manifest.sha256}


def measured(auroc: float, low: float, high: float, **more: float) -> dict[str, Any]:
    return {"metrics": {"test/image_auroc": auroc, **more}, "intervals": {"test/image_auroc": [low, high]}}


def test_settings_environment_and_metrics_that_differ_are_shown_with_their_difference(adctl, train):
    a = train("-S", "lr=0.1", metrics=measured(0.9, 0.85, 0.95, **{"test/image_ap": 0.5}), threads=2)
    b = train(
        "-S", "lr=0.2", "--seed", "3", metrics=measured(0.95, 0.9, 0.99, **{"test/image_ap": 0.5}), threads=4
    )

    text = adctl("diff", a[:10], b[:10])
    whole = adctl("diff", a, b, "--json").json

    assert text.code == 0
    assert ["lr", "0.1", "0.2"] in [line.split() for line in text.out.splitlines()]
    assert "test/image_auroc  0.9  [0.8500, 0.9500]  0.95  [0.9000, 0.9900]  +0.05" in text.out
    assert "test/image_ap" not in text.out
    assert "those of A and of B each by itself" in text.err
    assert "equal: code, data" in text.err
    assert whole["config"] == {"lr": {"a": 0.1, "b": 0.2}, "seed": {"a": 0, "b": 3}}
    assert whole["environment"] == {"threads": {"a": 2, "b": 4}}
    assert whole["metrics"]["test/image_auroc"]["difference"] == pytest.approx(0.05)
    assert whole["metrics"]["test/image_ap"]["difference"] == 0
    assert whole["metrics"]["loss"] == {
        "a": 0.5,
        "b": 0.5,
        "difference": 0.0,
        "a_interval": None,
        "b_interval": None,
        "paired": None,
    }
    assert whole["same"] is False
    assert adctl("diff", a, b, "-q").out.split() == ["config", "environment", "metrics"]


def test_two_jobs_that_are_equal_say_so(adctl, train):
    a, b = (train(metrics=measured(0.9, 0.85, 0.95)) for _ in range(2))

    called = adctl("diff", a, b)

    assert (called.code, adctl("diff", a, b, "-q").out) == (0, "")
    assert "nothing differs" in called.err
    assert adctl("diff", a, b, "--json").json["same"] is True
    assert "the same job twice" in adctl("diff", a, a).err


def test_code_and_data_that_differ_are_shown(adctl, desk: Bench, train, tmp_path: Path):
    a = train(metrics=measured(0.9, 0.85, 0.95))
    desk.client.code = {"version": "0.2", "commit": "c" * 40, "diff": "d" * 64}
    (tmp_path / "images" / "parts" / "screw" / "train" / "good" / "2.png").write_bytes(b"another")
    b = train(metrics=measured(0.9, 0.85, 0.95))

    whole = adctl("diff", a, b, "--json").json
    text = adctl("diff", a, b)

    assert whole["code"]["version"] == {"a": "test", "b": "0.2"}
    assert whole["code"]["commit"] == {"a": None, "b": "c" * 40}
    assert list(whole["data"]) == ["fingerprint"]
    assert "commit   -     cccccccccccccc\n" in text.out
    assert "measured on different images" in text.err


def test_two_evaluations_of_the_same_images_differ_by_an_interval_of_the_same_draws(adctl, train):
    weak, strong = scored(1.0), scored(3.0)
    a = train(metrics=measured(0.7, 0.6, 0.8), evidence=weak)
    b = train("--seed", "2", metrics=measured(0.9, 0.85, 0.95), evidence=strong)

    found = adctl("diff", a, b, "--json").json["metrics"]["test/image_auroc"]["paired"]
    text = adctl("diff", a, b)

    expected = paired_difference(strong, weak)["image_auroc"]
    assert found == {"difference": expected.point, "low": expected.low, "high": expected.high}
    assert f"+0.2  [{expected.low:+.4f}, {expected.high:+.4f}]" in text.out
    assert "that of B - A on the same draws of the images" in text.err


def test_masks_that_differ_leave_the_interval_of_whole_images(adctl, train):
    def of(size: int, spread: float) -> Evidence:
        evidence, mask = scored(spread), np.zeros((size, size), dtype=bool)
        mask[: size // 4 + 1] = mask[size // 2 - 1] = (
            True  # one region in the small picture, two in the large one
        )
        shown = [
            (number, np.full((size, size), score, np.float32), mask & LABELS[number])
            for number, score in enumerate(evidence.scores)
        ]
        return replace(evidence, pixels=count(shown, np.linspace(-4, 6, 20, dtype=np.float32)))

    a = train(metrics=measured(0.7, 0.6, 0.8), evidence=of(8, 1.0))
    b = train("--seed", "2", metrics=measured(0.9, 0.85, 0.95), evidence=of(16, 3.0))

    called = adctl("diff", a, b, "--json")
    assert called.err == ""
    whole = called.json
    assert whole["metrics"]["test/image_auroc"]["paired"]["low"] > 0
    (note,) = whole["notes"]
    assert (
        note
        == "pixel measures have no interval of their difference: the masks differ, as at other image sizes"
    )


@pytest.mark.parametrize(
    ("evidence", "words"),
    [
        (None, "left no results; evaluate anew"),
        (scored(3.0, tuple(f"other {name}" for name in NAMES)), "not evaluated on the same pictures"),
    ],
)
def test_a_difference_without_an_interval_says_why(adctl, train, evidence: Evidence | None, words: str):
    a = train(metrics=measured(0.7, 0.6, 0.8), evidence=scored(1.0))
    b = train("--seed", "2", metrics=measured(0.9, 0.85, 0.95), evidence=evidence)

    called = adctl("diff", a, b)

    assert called.code == 0
    assert f"the difference has no interval: {'job ' if evidence is None else ''}" in called.err
    assert words in called.err


def test_a_training_and_an_evaluation_are_not_compared_but_the_trainings_are_named(adctl, desk: Bench, train):
    a, b = (train(metrics=measured(0.9, 0.85, 0.95)) for _ in range(2))
    (evaluation,) = desk.client.dependents(desk.client.job(b))

    other = adctl("diff", a, evaluation.id)
    own = adctl("diff", evaluation.id, b)

    assert (other.code, own.code) == (2, 2)
    assert f"compare the two trainings with: adctl diff {a} {b}" in other.err
    assert f"it measured that very model; see what with: adctl show {evaluation.id}" in own.err


def test_a_job_that_failed_or_has_not_been_measured_is_compared_as_far_as_it_goes(
    adctl, desk: Bench, train, screw: Path
):
    a = train(metrics=measured(0.9, 0.85, 0.95))
    submit = ("submit", "train", "-m", "toy", "--data", str(screw), "--no-evaluate", "-q")
    queued = adctl(*submit).out.strip()
    waiting = adctl("diff", a, queued)
    failure = Outcome(outcome=AttemptOutcome.FAILED, failure=FailureClass.NAN, error="nan")
    desk.store.leases.finish(desk.lease(), failure)
    done = adctl(*submit).out.strip()
    desk.store.leases.finish(desk.lease(), Outcome(outcome=AttemptOutcome.SUCCEEDED))

    assert f"job {queued} is queued, so its numbers are not final" in waiting.err
    assert "test/image_auroc  0.9  [0.8500, 0.9500]  -  -" in waiting.out
    assert "failed" in adctl("diff", a, queued).out
    assert f"has not been evaluated (adctl submit evaluate {done})" in adctl("diff", a, done).err
