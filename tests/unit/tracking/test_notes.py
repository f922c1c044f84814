"""A run's page opens with what the job did, what came of it and where to look."""

from ad_platform.records import Outcome, Progress
from ad_platform.states import AttemptOutcome
from ad_platform.tracking import facts
from ad_platform.tracking.notes import NOTE_TAG, note
from ad_platform.tracking.protocol import RunState
from job_stories import Stories

POINT = {"threshold": 5.2470, "map_threshold": 5.0, "rate": 1 / 21, "normals": 20, "certified": True}


def test_a_run_is_described_by_its_job(stories: Stories) -> None:
    job = stories.trained(None)
    assert (
        facts.tags(job, [])[NOTE_TAG]
        == note(job)
        == (
            "Trains **ddad**, preset tiny, seed 7, on **mvtec/bottle**.\n\n"
            "The fitted detector lies in `model/`; its curves are among the metrics."
        )
    )


def test_an_evaluation_shows_its_headline_results_and_threshold(stories: Stories) -> None:
    train = stories.trained(None)
    job = stories.succeed(
        stories.lease(stories.submit_evaluation(train)),
        {"results.csv": "a\n"},
        {"test/image_auroc": 0.98765, "test/pixel_ap": 0.5},
        operating_point=POINT,
        observed={
            "false_alarms": {"count": 1, "images": 20, "low": 0.00127, "high": 0.2487},
            "found": {"count": 60, "images": 63, "low": 0.867, "high": 0.99},
            "defects": {},
        },
        leak_check={"passed": True, "detail": "the same"},
    )
    text = note(job)
    assert text.startswith(f"Evaluates **ddad**, preset tiny of job `{train.id[:8]}` on **mvtec/bottle**.")
    assert "\n\nimage AUROC **0.988**.\n\n" in text
    assert "pixel" not in text
    assert (
        "Threshold on the image score: **5.247** (at most 4.76 % false alarms, by 20 calibration images)."
        in text
    )
    assert "Of good test images 1 of 20, 95 % [0.001, 0.249] are false alarms." in text
    assert "Of anomalous ones 60 of 63, 95 % [0.867, 0.990] are found." in text
    assert "`results/gallery/`" in text
    assert facts.tags(job, [])["adctl.leak_check"] == "passed"


def test_what_speaks_against_the_measures_is_said_before_them(stories: Stories) -> None:
    train = stories.trained(None, tags={"selected_on": "test"})
    evaluation = stories.evaluated(train, 0.9, leak_check={"passed": False, "detail": "a.png scores 1, 2"})
    assert "\n\n**Leak check failed: a.png scores 1, 2.**" in note(evaluation)
    assert facts.tags(evaluation, [])["adctl.leak_check"] == "failed"
    assert "adctl.leak_check" not in facts.tags(train, [])


def test_without_calibration_the_description_says_that_there_is_no_threshold(stories: Stories) -> None:
    train = stories.trained(None)
    text = note(stories.evaluated(train, 0.9, operating_point=None))
    assert "No threshold: nothing was held out to calibrate on." in text


def test_a_trial_is_described_by_what_it_measured(stories: Stories) -> None:
    job = stories.submit_trial("validation/image_auroc", "latency_ms")
    tried = "Tries settings of **ddad**, preset tiny, seed 7, on **mvtec/bottle**"
    assert note(job) == f"{tried}: a trial of `bottles`."
    metrics = {"latency_ms": 12.345, "validation/image_auroc": 0.98765, "validation/ties": 0.5}
    job = stories.succeed(stories.lease(job), {"scores.csv": "a\n"}, metrics)
    assert "\n\nvalidation/image_auroc **0.9877**, latency_ms **12.35**.\n\n" in note(job)
    assert "there is no model" in note(job)
    tags = facts.tags(job, [])
    assert (tags["adctl.kind"], tags["adctl.state"], tags["adctl.group"]) == ("trial", "succeeded", "bottles")
    assert tags["adctl.measures"] == "validation/image_auroc latency_ms"
    assert facts.data_context(job) == "validation"


def test_a_pruned_trial_is_described_by_what_was_seen_of_it(stories: Stories) -> None:
    job = stories.submit_trial("test/image_auroc")
    lease = stories.lease(job)
    seen = {"test/image_auroc": 0.625, "rung/1": 0.5, "rung/2": 0.625}
    stories.store.leases.renew(lease, Progress(step=2, of=9, metrics=seen))
    stories.store.jobs.prune(job.id)
    job = stories.store.leases.finish(lease, Outcome(outcome=AttemptOutcome.CANCELLED))
    assert "\n\ntest/image_auroc **0.625** at rung 2, when it was ended.\n\n**pruned: not worth" in note(job)
    assert facts.tags(job, [])["adctl.state"] == "pruned"
    assert facts.RUN_STATES[job.state] is RunState.KILLED
    assert facts.data_context(job) == "testing"


def test_a_running_job_is_described_by_what_it_does_alone(stories: Stories) -> None:
    assert note(stories.submit()) == "Trains **ddad**, preset tiny, seed 7, on **mvtec/bottle**."
