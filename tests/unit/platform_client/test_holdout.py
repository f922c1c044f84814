"""Promises about what is held out: one way to write it, one key for what jobs always meant."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ad_detectors.data.splits import Holdout
from ad_detectors.errors import ConfigError
from ad_platform import holdout
from ad_platform.errors import InvalidValue
from ad_platform.records import Outcome
from ad_platform.requests import Scheduling, TrainRequest
from ad_platform.specs import DatasetRef, JobSpec
from ad_platform.states import AttemptOutcome, JobKind
from ad_platform.tracking.facts import tags
from clientkit import Bench, bench, migrated

SCREW = DatasetRef(dataset="parts", category="screw", fingerprint="a" * 64, path="/images/parts/screw")
OLD = JobSpec(
    kind=JobKind.TRAIN,
    detector="toy",
    dataset=SCREW,
    config={"lr": 0.01, "image_size": 32},
    preset="tiny",
    seed=3,
)
PERCENT = st.one_of(
    st.integers(0, 110).map(str),
    st.decimals(0, 110, places=2).map(str),
    st.text("0123456789./none-+e %", max_size=8),
)


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return migrated(tmp_path_factory.mktemp("template"))


@pytest.fixture
def desk(template: Path, tmp_path: Path) -> Iterator[Bench]:
    with bench(template, tmp_path) as made:
        yield made


@given(st.one_of(st.builds("{}/{}".format, PERCENT, PERCENT), PERCENT))
def test_client_and_worker_read_a_holdout_alike(text: str):
    """The platform knows no detectors, so each has its own reading; a worker must take what a client took."""
    try:
        ours: str | None = holdout.canonical(text)
    except InvalidValue:
        ours = None
    try:
        theirs: str | None = Holdout.parse(text).text
    except ConfigError:
        theirs = None
    assert ours == theirs


def test_the_default_is_that_of_the_detectors_library():
    assert Holdout().text == holdout.DEFAULT


@pytest.mark.parametrize("text", ["10", "10/x", "60/40", ""])
def test_a_holdout_that_cannot_be_is_refused_before_anything_is_submitted(desk: Bench, text: str):
    with pytest.raises(InvalidValue, match="holdout"):
        desk.client.submit_train(TrainRequest(detector="toy", dataset=SCREW, holdout=text))

    assert desk.store.jobs.search() == []


def test_a_spec_from_before_there_were_holdouts_means_none_and_keeps_its_key():
    written = OLD.to_json()
    del written["holdout"]
    spec = JobSpec.from_json(written)

    assert spec.holdout == "none"
    assert spec.key == "6060b3cc3f9bd4bbe34f280c47d910bd80d420b28ef8650ab6cbe01f49cf26b5"


def test_another_holdout_is_another_key_and_goes_through_json():
    spec = JobSpec(**{**vars(OLD), "holdout": "10/10"})

    assert spec.key != OLD.key
    assert JobSpec.from_json(spec.to_json()) == spec


def test_fit_and_evaluation_hold_out_the_same(desk: Bench):
    request = TrainRequest(detector="toy", dataset=SCREW, holdout="05/20.0")

    assert [job.spec.holdout for job in desk.client.submit_train(request).jobs] == ["5/20", "5/20"]


def test_ten_and_ten_percent_are_held_out_unless_told(desk: Bench):
    plan = desk.client.plan_train(TrainRequest(detector="toy", dataset=SCREW))

    assert [submission.spec.holdout for submission in plan] == ["10/10", "10/10"]


def test_a_published_preset_holds_nothing_out_and_is_tagged_as_selected_on_test(desk: Bench):
    request = TrainRequest(
        detector="toy",
        dataset=SCREW,
        preset="paper",
        scheduling=Scheduling(tags={"selected_on": "validation", "mine": "1"}),
    )
    train, evaluation = desk.client.submit_train(request).jobs

    assert (train.spec.holdout, evaluation.spec.holdout) == ("none", "none")
    assert train.spec.config["lr"] == 0.2
    for job in (train, evaluation):
        assert dict(job.tags) == {"selected_on": "test", "mine": "1"}
        assert tags(job, [])["adctl.selected_on"] == "test"
        assert tags(job, [])["adctl.holdout"] == "none"


def test_a_published_preset_may_be_told_to_hold_out_and_stays_selected_on_test(desk: Bench):
    request = TrainRequest(detector="toy", dataset=SCREW, preset="paper", holdout="10/10", evaluate=False)
    (train,) = desk.client.submit_train(request).jobs

    assert (train.spec.holdout, train.tags["selected_on"]) == ("10/10", "test")


def test_a_later_evaluation_takes_over_what_its_fit_held_out_and_was_selected_on(desk: Bench):
    request = TrainRequest(detector="toy", dataset=SCREW, preset="paper", holdout="7/3", evaluate=False)
    (train,) = desk.client.submit_train(request).jobs
    desk.client.hold(SCREW)
    desk.store.leases.finish(desk.lease(), Outcome(outcome=AttemptOutcome.SUCCEEDED))
    (evaluation,) = desk.client.submit_evaluate(train.id).jobs

    assert (evaluation.spec.holdout, evaluation.tags["selected_on"]) == ("7/3", "test")
