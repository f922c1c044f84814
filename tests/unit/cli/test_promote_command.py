"""Promises of `adctl promote`: trying without deciding, and the best of a sweep or group."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

import fitted
from ad_platform.records import Job
from ad_platform.specs import Submission
from ad_platform.states import JobKind
from clientkit import Bench, bench


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> fitted.Fitted:
    return fitted.fit(tmp_path_factory.mktemp("fitted"))


@pytest.fixture
def desk(template: Path, tmp_path: Path) -> Iterator[Bench]:
    with bench(template, tmp_path) as made:
        yield made


def model(desk: Bench, made: fitted.Fitted, **more: object) -> Job:
    """A job of the group "night" that was evaluated; `more` is of its evaluation's result."""
    spec = made.spec(JobKind.TRAIN)
    asked = Submission(spec=spec, user="kim", group="night")
    train = fitted.succeed(
        desk.store, desk.client.storage, desk.store.jobs.submit([asked])[0], made.model, {}
    )
    evaluation = made.spec(JobKind.EVALUATE, source=train.id)
    asked = Submission(spec=evaluation, user="kim", group="night", needs=(train.id,))
    job = desk.store.jobs.submit([asked])[0]
    fitted.succeed(desk.store, desk.client.storage, job, made.results, {**made.result, **more})  # type: ignore[dict-item]
    return train


def metrics(made: fitted.Fitted, **more: float) -> dict[str, object]:
    known = made.result["metrics"]
    assert isinstance(known, dict)
    return {"metrics": {**known, **{name.replace("__", "/"): value for name, value in more.items()}}}


def test_a_dry_run_shows_every_gate_and_changes_nothing(adctl, desk: Bench, made: fitted.Fitted):
    job = model(desk, made)
    called = adctl("promote", job.id, "--dry-run")

    assert called.code == 0
    assert called.out.startswith(f"{fitted.MODEL}@champion would be job {job.id} (revision 1)\n")
    lines = called.out.splitlines()[2:]
    assert [line.split("  ")[0] for line in lines] == [
        *("succeeded", "whole", "evaluated", "selection", "leak", "no worse", "defects", "false alarms"),
        *("latency", "memory"),
    ]
    assert "verdict: passed" in called.err
    assert desk.store.champions.history() == []


def test_a_dry_run_that_is_refused_says_so_with_its_exit_code(adctl, desk: Bench, made: fitted.Fitted):
    (desk.home / "gates.toml").write_text("latency_ms = 1\n")
    job = model(desk, made, ms_per_image=5.0)
    called = adctl("promote", job.id, "--dry-run")
    forced = adctl("promote", job.id, "--dry-run", "--force")
    told = adctl("promote", job.id, "--dry-run", "--json")

    assert called.code == 3
    assert "latency       no       5 ms per image on cpu, 1 allowed" in called.out
    assert "verdict: refused by latency; it can be forced: --force --reason TEXT" in called.err
    assert (forced.code, "overruled" in forced.out) == (0, True)
    assert (told.code, told.json["passes"], told.json["limits"]["latency_ms"]) == (3, False, 1.0)
    assert [one["gate"] for one in told.json["gates"] if not one["passed"]] == ["latency"]
    assert adctl("promote", job.id, "--wait", "0").code == 3
    assert adctl("promote", job.id, "--dry-run", "-q").out == "refused\n"


def test_a_mistake_in_the_limits_is_named(adctl, desk: Bench, made: fitted.Fitted):
    (desk.home / "gates.toml").write_text("latency = 1\n")
    called = adctl("promote", model(desk, made).id)
    assert (called.code, "no limit named 'latency'; did you mean latency_ms?" in called.err) == (2, True)


def test_the_best_of_a_group_is_chosen_by_a_named_measure(adctl, desk: Bench, made: fitted.Fitted):
    low, high = (model(desk, made, **metrics(made, validation__image_auroc=v)) for v in (0.2, 0.9))
    called = adctl("promote", "night", "--best", "image_auroc", "--wait", "0")

    assert called.code == 0, called.err
    assert called.out == f"{fitted.MODEL}@champion  {high.id}\n"
    assert "parts/screw: pixel_mean" in called.err
    assert f"job {high.id}, has the best validation/image_auroc of 2 models: 0.9" in called.err
    champion = desk.store.champions.current(fitted.MODEL, "champion")
    assert champion is not None
    assert champion.evidence["chosen"] == {
        "by": "validation/image_auroc",
        "value": 0.9,
        "among": 2,
        "group": "night",
    }
    assert low.id != high.id


def test_the_measure_may_stand_before_the_name(adctl, desk: Bench, made: fitted.Fitted):
    job = model(desk, made)
    called = adctl("promote", "--best", "validation/image_auroc", "night", "--dry-run", "--json")
    assert [one["job_id"] for one in called.json] == [job.id]


def test_who_chooses_by_test_labels_is_refused(adctl, desk: Bench, made: fitted.Fitted):
    for value in (0.5, 0.9):
        model(desk, made, **metrics(made, test__image_auroc=value))
    called = adctl("promote", "night", "--best", "test/image_auroc")
    assert called.code == 3
    assert "gate 'selection' refuses" in called.err
    assert "chosen among 2 models by test/image_auroc" in called.err


def test_of_several_categories_each_has_its_best_and_one_refusal_keeps_no_other(
    adctl, desk: Bench, made: fitted.Fitted
):
    model(desk, made)
    spec = made.spec(JobKind.TRAIN)
    other = replace(made, category=made.category.parent / "nut")
    data = replace(spec.dataset, category="nut", fingerprint="n" * 64)
    nut = fitted.succeed(
        desk.store,
        desk.client.storage,
        desk.store.jobs.submit([Submission(spec=replace(spec, dataset=data), user="kim", group="night")])[0],
        other.model,
        {},
    )
    evaluation = replace(made.spec(JobKind.EVALUATE, source=nut.id), dataset=data)
    job = desk.store.jobs.submit([Submission(spec=evaluation, user="kim", group="night")])[0]
    point = {"operating_point": None}
    fitted.succeed(desk.store, desk.client.storage, job, other.results, {**made.result, **point})

    called = adctl("promote", "night", "--best", "--wait", "0")
    assert called.code == 3
    assert called.out.startswith(f"{fitted.MODEL}@champion  ")
    assert "gate 'false alarms' refuses" in called.err
    one = adctl("promote", "night", "--best", "--category", "screw", "--json", "--dry-run")
    assert [each["model"] for each in json.loads(one.out)] == [fitted.MODEL]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("night",), "night is a group of jobs; promote its best: adctl promote night --best"),
        (("{job}", "image_auroc"), "to choose by a measure"),
        (("{job}", "--best"), "is a job, so there is nothing to choose from"),
        (("{job}", "--category", "screw"), "--category narrows what --best chooses"),
        (("night", "--best", "validation/image_auc"), "did you mean validation/image_auroc"),
        (("nobody", "--best"), "nobody"),
    ],
)
def test_what_cannot_be_chosen_is_said(adctl, desk: Bench, made: fitted.Fitted, arguments, words: str):
    job = model(desk, made)
    called = adctl("promote", *(one.format(job=job.id) for one in arguments))
    assert called.code == 2, called.err
    assert words in called.err
