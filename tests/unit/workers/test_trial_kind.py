"""A trial at a child's desk fits what is missing once, tells its rungs, and leaves measures and scores."""

import csv
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from ad_detectors.errors import ConfigError, DataError
from ad_platform.specs import Json
from ad_platform.states import Directive, FailureClass, JobKind
from ad_platform.storage.metrics import read_segments
from ad_workers import messages as say
from ad_workers.desk import Stop
from ad_workers.exits import Exit, classify
from ad_workers.kinds import evaluate, train, trial
from ad_workers.link import Link
from desks import Desks, make_category
from trial_cases import FIRST, PIXELS, TEST, add_learners, asked, fit_steps, told
from zoo_guests import guests


@pytest.fixture
def desks(tmp_path: Path) -> Iterator[Desks]:
    made = Desks(tmp_path / "desks")
    yield made
    made.close()


@pytest.fixture(autouse=True)
def learners(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with guests(tmp_path / "zoo", monkeypatch) as add:
        add_learners(add)
        yield


@pytest.fixture
def category(tmp_path: Path) -> Path:
    return make_category(tmp_path / "c", test=True)


def said(supervisor: Link, kind: type) -> list:
    return [each for each in supervisor.receive() if isinstance(each, kind)]


def test_a_trial_leaves_its_measures_rungs_and_scores_and_no_model(desks: Desks, category: Path) -> None:
    desk, _ = desks.open(asked(category, FIRST, TEST, "latency_ms"))
    result = trial.run(desk).result
    metrics, rungs = result["metrics"], result["rungs"]
    assert set(metrics) == {FIRST, TEST, "latency_ms", "validation/saturated", "validation/ties"}
    assert len(rungs) == 8
    assert rungs[-1] == metrics[FIRST]
    assert (result["images"], result["steps"]) == (4 + 8 + 3 + 4, 6)
    assert metrics["latency_ms"] == result["ms_per_image"] > 0.0
    assert 0.0 < result["fit_seconds"] <= result["seconds"]
    rows = list(csv.DictReader(desks.read(result["bundle"], "scores.csv").splitlines()))
    assert list(rows[0]) == ["path", "label", "defect", "score", "split"]
    assert [row["split"] for row in rows] == ["validation"] * 12 + ["test"] * 7
    assert [row["label"] for row in rows] == [*"0000", *"11111111", *"000", *"1111"]
    manifest = desks.storage.manifest(str(result["bundle"]))
    assert manifest is not None
    assert list(manifest.files) == ["scores.csv"]


def test_a_trial_tells_the_estimate_and_every_rung_so_far_beside_its_steps(
    desks: Desks, category: Path
) -> None:
    desk, supervisor = desks.open(asked(category))
    rungs = trial.run(desk).result["rungs"]
    reports = said(supervisor, say.Report)
    fitting = [each for each in reports if "train/loss" in each.metrics]
    assert fitting[0].step == 1  # those that follow within a blink are left unsaid
    assert {each.of for each in fitting} == {8}
    scoring = reports[-3:]
    assert [(each.step, each.of, each.message) for each in scoring] == [
        (7, 8, "scoring images"),
        (8, 8, "scoring images, rung 8 of 8"),
        (8, 8, "measuring"),
    ]
    assert scoring[0].metrics == {}
    assert scoring[1].metrics == {FIRST: rungs[-1], **{f"rung/{n}": rung for n, rung in enumerate(rungs, 1)}}
    assert scoring[2].metrics == scoring[1].metrics
    assert scoring[2].images == scoring[0].images + 8


def test_a_trial_measures_what_train_and_evaluate_would(desks: Desks, category: Path) -> None:
    names = (FIRST, TEST, PIXELS, "test/aupro_05", "validation/aupro_30")
    spec = asked(category, *names, detector="pixel_mean")
    tried = trial.run(desks.open(spec)[0]).result["metrics"]
    desks.job = "trained"
    model = train.run(desks.open(replace(spec, kind=JobKind.TRAIN))[0]).result
    desks.job = "evaluated"
    desk, _ = desks.open(replace(spec, kind=JobKind.EVALUATE, source="trained"), str(model["bundle"]))
    whole = evaluate.run(desk).result["metrics"]
    assert {name: tried[name] for name in names} == pytest.approx({n: whole[n] for n in names}, abs=1e-12)
    assert tried[FIRST] == whole[FIRST]
    assert tried["validation/ties"] == whole["validation/ties"]


def test_settings_of_the_last_stage_alone_find_the_training(
    desks: Desks, category: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps = fit_steps(monkeypatch)
    trial.run(desks.open(asked(category, gain=1.0))[0])
    assert len(steps) == 6
    desks.job = "f"
    result = trial.run(desks.open(asked(category, gain=2.0))[0]).result
    assert steps[6:] == [6]  # of the score stage
    assert result["steps"] == 6


@pytest.mark.parametrize("phase", ["fitting", "scoring"])
@pytest.mark.parametrize(
    ("order", "code"),
    [(Directive.DRAIN, Exit.DRAINED), (Directive.CANCEL, Exit.CANCELLED), (Directive.PRUNE, Exit.PRUNED)],
)
def test_an_order_to_stop_is_obeyed_in_either_phase_and_a_later_attempt_goes_on(
    desks: Desks, category: Path, monkeypatch: pytest.MonkeyPatch, order: Directive, code: Exit, phase: str
) -> None:
    steps, at = fit_steps(monkeypatch), 2 if phase == "fitting" else 7
    spec = asked(category, FIRST, PIXELS)
    desk, supervisor = desks.open(spec)
    speak = desk.say

    def spoken(message: object) -> None:
        if isinstance(message, say.Report) and message.step >= at:
            supervisor.send(say.Order(directive=order))
        speak(message)

    monkeypatch.setattr(desk, "say", spoken)
    monkeypatch.setattr("ad_workers.context.TALK", 0.0)
    with pytest.raises(Stop) as stopped:
        trial.run(desk)
    assert stopped.value.code is code
    assert len(steps) == (2 if phase == "fitting" else 6)
    kept = [each.step for each in said(supervisor, say.CheckpointMade)]
    # A stage ends at 5, another at 6.
    expected = {"fitting": [2] if order is Directive.DRAIN else [], "scoring": [5, 6, 7]}
    if order is Directive.CANCEL:
        expected["scoring"] = [5, 6]
    assert kept == expected[phase]
    again, supervisor = desks.open(spec, attempt=2)
    resumed = told(dict(trial.run(again).result))
    assert len(steps) == {"fitting": 6 if order is Directive.DRAIN else 8, "scoring": 6}[phase]
    fresh = Desks(desks.folder / "fresh")
    whole = told(dict(trial.run(fresh.open(spec)[0]).result))
    fresh.close()
    assert resumed == whole
    assert said(supervisor, say.Report)[-1].of == 6 + 4


def test_the_curve_of_a_trial_has_the_estimates_after_the_fit_one_point_for_a_step(
    desks: Desks, category: Path
) -> None:
    desk, _ = desks.open(asked(category))
    rungs = trial.run(desk).result["rungs"]
    newest = max(desks.storage.bundles("jobs/e/checkpoints"))
    manifest = desks.storage.manifest(newest)
    assert manifest is not None
    points = [(point.step, point.metrics.get(FIRST)) for point in read_segments(desks.storage, manifest)]
    assert points == [*((step, None) for step in range(1, 7)), (8, rungs[-1])]


def test_the_curve_of_a_trial_that_was_interrupted_is_that_of_one_that_was_not(
    desks: Desks, category: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def curve() -> list[tuple[int, float | None]]:
        manifest = desks.storage.manifest(max(desks.storage.bundles(f"jobs/{desks.job}/checkpoints")))
        assert manifest is not None
        points = read_segments(desks.storage, manifest)
        return [(each.step, each.metrics.get(FIRST)) for each in points]

    spec = replace(
        asked(category, FIRST, TEST), holdout="50/10"
    )  # rungs end in steps 9 to 11, two more follow
    trial.run(desks.open(spec)[0])
    whole = curve()
    for stage in desks.storage.bundles("stages"):
        desks.storage.remove(stage)
    for stop_at in (8, 9, 11, 12):
        desks.job = f"stopped-{stop_at}"
        desk, supervisor = desks.open(spec)
        speak = desk.say

        def spoken(message: object, at: int = stop_at, line: Link = supervisor, say_it=speak) -> None:
            if isinstance(message, say.Report) and message.step == at:
                line.send(say.Order(directive=Directive.DRAIN))
            say_it(message)

        monkeypatch.setattr(desk, "say", spoken)
        with pytest.raises(Stop):
            trial.run(desk)
        trial.run(desks.open(spec, attempt=2)[0])
        assert curve() == whole, stop_at
        for stage in desks.storage.bundles("stages"):
            desks.storage.remove(stage)


def test_scores_made_with_a_stage_that_is_gone_are_made_again_with_it(
    desks: Desks, category: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps, spec = fit_steps(monkeypatch), asked(category)
    whole = told(dict(trial.run(desks.open(spec)[0]).result))
    for stage in desks.storage.bundles("stages"):
        desks.storage.remove(stage)
    desk, supervisor = desks.open(spec, attempt=2)
    again = trial.run(desk).result
    assert told(dict(again)) == whole
    assert len(steps) == 12
    # The steps go on from those of the checkpoint: a curve has one point for a step. A stage ends at 13.
    assert [each.step for each in said(supervisor, say.CheckpointMade)] == [13, 14, 16]
    assert again["steps"] == 14


@pytest.mark.parametrize(
    ("measures", "holdout", "test", "settings", "says"),
    [
        ((FIRST,), "none", True, {}, "hold some out with --holdout 10/10"),
        ((TEST,), "10/10", False, {}, "add test/good/ and test/<defect>/"),
        (("validation/image_acc",), "10/10", True, {}, "did you mean validation/image_a"),
    ],
)
def test_a_measure_that_cannot_be_told_fails_before_anything_is_fitted_and_says_what_to_do(
    desks: Desks,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    measures: tuple[str, ...],
    holdout: str,
    test: bool,
    settings: dict[str, Json],
    says: str,
) -> None:
    steps = fit_steps(monkeypatch)
    category = make_category(tmp_path / "other", test=test)
    spec = replace(asked(category, *measures, **settings), holdout=holdout)
    with pytest.raises((ConfigError, DataError), match=says) as refused:
        trial.run(desks.open(spec)[0])
    assert classify(refused.value) in (FailureClass.DATA, FailureClass.CONFIG)
    assert steps == []


def test_scores_that_depend_on_their_batch_have_no_rungs_and_come_in_the_published_order(
    desks: Desks, category: Path
) -> None:
    desk, supervisor = desks.open(asked(category, TEST, detector="together"))
    tried = trial.run(desk).result
    assert tried["rungs"] == []
    assert {name for each in said(supervisor, say.Report) for name in each.metrics} == {"train/loss"}
    rows = list(csv.DictReader(desks.read(tried["bundle"], "scores.csv").splitlines()))
    assert [row["path"] for row in rows] == sorted(row["path"] for row in rows)
