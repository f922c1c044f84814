"""Trials share a training when every stage but the last is fitted alike, and only then."""

from dataclasses import replace

import pytest

from ad_detectors import catalogue as library
from ad_platform import catalogue
from ad_platform.catalogue import DetectorEntry, OtherStages, StageEntry
from ad_platform.specs import DatasetRef, JobSpec, Json
from ad_platform.states import JobKind
from ad_platform.sweeps.sharing import training_key

DDAD = DetectorEntry.from_json("ddad", library.entry("ddad"))
CONFIG = catalogue.resolve(DDAD, "tiny")
DATA = DatasetRef(dataset="mvtec", category="screw", fingerprint="f1", path="/data/screw")
SPEC = JobSpec(kind=JobKind.TRIAL, detector="ddad", dataset=DATA, config=CONFIG, holdout="10/10")


def with_settings(**settings: Json) -> JobSpec:
    return replace(SPEC, config={**CONFIG, **settings})


def key(spec: JobSpec) -> str:
    found = training_key(DDAD, spec)
    assert found is not None
    return found


def test_the_key_names_a_stage_and_is_the_same_every_time():
    assert key(SPEC) == key(replace(SPEC))
    kind, _, digest = key(SPEC).partition("/")
    assert (kind, len(digest), set(digest) <= set("0123456789abcdef")) == ("stage", 64, True)


@pytest.mark.parametrize(
    "settings", [{"w": 5.0}, {"noise_step": 400, "skip": 50}, {"eta": 0.0}, {"v": 2.0}, {"blur_sigma": 1.0}]
)
def test_settings_of_the_last_stage_share_a_training(settings):
    assert key(with_settings(**settings)) == key(SPEC)


@pytest.mark.parametrize(
    "changed",
    [
        with_settings(lr=0.5),
        with_settings(adapt_w=4.0),
        with_settings(compat=True),
        replace(SPEC, seed=1),
        replace(SPEC, holdout="20/10"),
        replace(SPEC, device="cuda"),
        replace(SPEC, threads=2),
        replace(SPEC, dataset=replace(DATA, fingerprint="f2")),
    ],
)
def test_anything_else_that_decides_a_training_has_a_key_of_its_own(changed):
    assert key(changed) != key(SPEC)


def test_another_detector_or_version_of_a_stage_has_a_key_of_its_own():
    first, *rest = DDAD.stages
    newer = replace(DDAD, stages=(replace(first, version=first.version + 1), *rest))
    last = replace(DDAD, stages=(*DDAD.stages[:-1], replace(DDAD.stages[-1], version=99)))
    assert training_key(newer, SPEC) != key(SPEC)
    assert training_key(replace(DDAD, name="other"), SPEC) != key(SPEC)
    assert training_key(last, SPEC) == key(SPEC)


def test_what_is_the_jobs_own_business_changes_no_key():
    moved = replace(
        SPEC,
        kind=JobKind.TRAIN,
        preset="paper",
        checkpoint_every=3,
        measures=("validation/image_auroc",),
        dataset=replace(DATA, path="/elsewhere"),
    )
    assert key(moved) == key(SPEC)


def test_one_and_one_point_nought_for_a_setting_are_one_value():
    assert key(with_settings(weight_decay=1)) == key(with_settings(weight_decay=1.0))


def test_as_published_the_trajectory_decides_the_training_too():
    published = with_settings(compat=True)
    moved = replace(published, config={**published.config, "noise_step": 400})
    assert key(moved) != key(published)
    assert key(replace(published, config={**published.config, "w": 9.0})) == key(published)


def test_a_fit_of_a_single_stage_has_nothing_to_share():
    one = StageEntry(name="fit", version=1, fields=("image_size",))
    for stages in ((one,), ()):
        assert training_key(replace(DDAD, stages=stages, stages_when=()), SPEC) is None


def test_a_condition_that_cannot_be_read_does_not_hold():
    strange = replace(DDAD, stages_when=(OtherStages(when="brand_new(syntax)", stages=()),))
    assert strange.stages_of(CONFIG) == DDAD.stages
    assert training_key(strange, SPEC) == key(SPEC)


def test_the_stages_of_a_config_go_through_json_unchanged():
    assert DetectorEntry.from_json("ddad", DDAD.to_json()) == DDAD
    assert {"noise_step", "skip"} <= set(DDAD.stages_of({**CONFIG, "compat": True})[1].fields)
