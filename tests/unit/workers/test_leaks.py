"""A detector that looks at files, memory or order instead of pixels is refused or flagged, by name."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from ad_detectors import registry
from ad_detectors.config import to_json
from ad_detectors.errors import Peeked
from ad_detectors.testing import Subject
from ad_platform.specs import JobSpec, Json
from ad_platform.states import FailureClass, JobKind
from ad_workers.exits import classify
from ad_workers.kinds import evaluate, train, trial
from desks import SIDE, Desks, make_category, spec_of
from leaking import FIT, SCORE
from trial_cases import FIRST
from zoo_guests import guests

SAID = {
    "test folder": r"listed test of d/c",
    "swallowed": r"opened test/cut/0\.png of d/c",
    "our reader": r"listed train/good of d/c",
    "decoded": r"listed the decoded pictures",
    "names": r"listed test of d/c",
    "program": r"handed the path of d/c to another program",
    "at once restored": r"opened train/good/0\.png of d/c",
    "masks": r"listed ground_truth of d/c",
    "memory": r"searched the memory of its process \(gc\.get_objects\)",
    "descriptors": r"opened .*\.npy of the decoded pictures",
}

QUICK = {"ddad": {"skip": 125}}  # as many times fewer steps of each reconstruction


@pytest.fixture
def desks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desks]:
    made = Desks(tmp_path / "desks")
    monkeypatch.setattr("ad_detectors.evaluation.measuring.DRAWS", 20)
    monkeypatch.chdir(tmp_path)
    with guests(tmp_path / "zoo", monkeypatch) as add:
        add("leaking", (Path(__file__).parents[2] / "leaking.py").read_text())
        yield made
    made.close()


@pytest.fixture
def category(tmp_path: Path) -> Path:
    return make_category(tmp_path / "d" / "c", test=True)


def asked(category: Path, detector: str = "leaking", **settings: Json) -> JobSpec:
    if detector == "leaking":
        config = registry.resolve(detector, None, {"image_size": SIDE, **settings})
    else:
        config = to_json(Subject.of(detector, quick=QUICK.get(detector)).brief)
    return spec_of(JobKind.TRAIN, category, detector, config=config, holdout="20/10")


def evaluated(desks: Desks, spec: JobSpec) -> dict[str, Json]:
    desks.job = "t"
    bundle = str(train.run(desks.open(spec)[0]).result["bundle"])
    desks.job = "e"
    return dict(evaluate.run(desks.open(replace(spec, kind=JobKind.EVALUATE, source="t"), bundle)[0]).result)


@pytest.mark.parametrize("way", FIT)
def test_a_fit_that_looks_beyond_what_it_was_handed_fails_by_name(
    desks: Desks, category: Path, way: str
) -> None:
    spec = asked(category, way=way)
    # Somebody decoded the test pictures on this node before.
    evaluated(desks, asked(category))
    desks.job = "x"
    run = evaluated if way == "at once restored" else lambda desks, spec: train.run(desks.open(spec)[0])
    with pytest.raises(Peeked, match=f"detector 'leaking' {SAID[way]}; a detector is handed") as told:
        run(desks, spec)
    assert classify(told.value) is FailureClass.CODE
    assert not list(desks.storage.bundles("jobs/x"))


@pytest.mark.parametrize("way", SCORE)
def test_scoring_that_looks_beyond_its_pixels_fails_by_name(desks: Desks, category: Path, way: str) -> None:
    with pytest.raises(Peeked, match=f"detector 'leaking' {SAID[way]}"):
        evaluated(desks, asked(category, way=way))
    desks.job = "y"
    trying = replace(asked(category, way=way), kind=JobKind.TRIAL, measures=(FIRST, "test/image_auroc"))
    with pytest.raises(Peeked, match=f"detector 'leaking' {SAID[way]}"):
        trial.run(desks.open(trying)[0])


def test_every_way_is_tried() -> None:
    assert set(SAID) == {*FIT, *SCORE}


def test_a_trial_that_peeks_in_its_fit_fails(desks: Desks, category: Path) -> None:
    trying = replace(asked(category, way="swallowed"), kind=JobKind.TRIAL, measures=(FIRST,))
    with pytest.raises(Peeked, match=SAID["swallowed"]):
        trial.run(desks.open(trying)[0])


@pytest.mark.parametrize("detector", ["leaking", *registry.built_in()])
def test_a_detector_that_is_content_with_what_it_is_handed_is_let_be(
    desks: Desks, tmp_path: Path, detector: str
) -> None:
    side = int(
        asked(make_category(tmp_path / "s" / "c", test=False, normal=1), detector).config["image_size"]
    )  # type: ignore[arg-type]
    category = make_category(tmp_path / "d" / "c", test=True, side=side)
    result = evaluated(desks, asked(category, detector))
    assert result["metrics"]["test/image_auroc"] is not None  # type: ignore[index,call-overload]
    assert result["observed"]["false_alarms"]["images"] == 3  # type: ignore[index,call-overload]
    assert result["leak_check"]["passed"] is None  # type: ignore[index,call-overload]
