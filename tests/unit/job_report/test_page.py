"""The page about a job stands by itself and says what is known, whatever became of the job."""

import csv
import re
from dataclasses import replace
from html import unescape
from itertools import pairwise
from pathlib import Path

import pytest

import markup
from ad_platform.errors import Conflict, InvalidRequest
from ad_platform.job_report import page_of
from ad_platform.job_report.charts import roc_points
from ad_platform.job_report.reading import subject_of
from ad_platform.job_report.results import TEST, read
from ad_platform.records import Champion, Job
from ad_platform.specs import JobSpec
from ad_platform.states import JobKind
from reported import CONFIG, Reported

LARGEST = 3_000_000


@pytest.fixture(scope="module")
def fit(reported: Reported, category: Path) -> Job:
    return reported.train(category, "pixel_mean", CONFIG)


@pytest.fixture(scope="module")
def evaluation(reported: Reported, fit: Job) -> Job:
    return reported.evaluate(fit)


def page(reported: Reported, job: Job) -> str:
    text = page_of(reported.store, reported.storage, job)
    assert markup.problems(text) == []
    return text


def words(text: str) -> str:
    return markup.Markup(text).text


def section(text: str, title: str) -> str:
    """Return what a reader sees of a section."""
    found = re.search(rf"<section [^>]*><h2[^>]*>{re.escape(title)}</h2>(.*?)</section>", text, re.S)
    assert found is not None, f"no section {title}"
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", found[1])).split())


def test_it_begins_with_whether_the_detector_can_be_used_and_ends_with_where_it_is_from(
    reported: Reported, evaluation: Job
) -> None:
    text = page(reported, evaluation)
    assert len(text) < LARGEST
    titles = [unescape(each) for each in re.findall(r"<h2[^>]*>(.*?)</h2>", text)]
    assert titles == [
        "Can this detector be used?",
        "What it misses",
        "Worst misses",
        "Worst false alarms",
        "For comparison",
        "What the numbers rest on",
        "Other thresholds",
        "Scores",
        "Curves",
        "Training",
        "Settings",
        "Lineage",
    ]
    charts = re.findall(r'<figure class="chart"><h3>(.*?)</h3>', text)
    assert [chart.partition(":")[0] for chart in charts] == [
        "Image scores and the threshold",
        "ROC",
        "Precision against recall",
        "PRO",
        "Precision against recall of pixels",
    ]


def test_its_figures_are_those_of_the_evaluation(reported: Reported, evaluation: Job, tmp_path: Path) -> None:
    seen = words(page(reported, evaluation))
    reported.storage.fetch(str(evaluation.result["bundle"]), tmp_path / "results")
    with (tmp_path / "results" / "scores.csv").open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["split"] == "test"]
    threshold = evaluation.result["operating_point"]["threshold"]  # type: ignore[index,call-overload]
    alarms = [row for row in rows if row["label"] == "0" and float(row["score"]) > threshold]
    missed = [row for row in rows if row["label"] == "1" and float(row["score"]) <= threshold]
    assert f"{threshold:.5g}" in seen
    assert f"called {len(alarms) or 'none'} of 3 good test images anomalous" in seen
    assert f"missed {len(missed) or 'none'} of 4 defective ones" in seen
    metrics = evaluation.result["metrics"]
    assert f"{metrics['test/aupro_30']:.4f}" in seen  # type: ignore[index,call-overload]
    assert "7: 3 good, 4 with defects of 2 kinds; they fixed no threshold and no setting" in seen
    assert "8 good images, held out of training and used for nothing else" in seen


def test_every_picture_of_a_case_is_there_and_told(reported: Reported, evaluation: Job) -> None:
    text = page(reported, evaluation)
    cut = re.findall(r'alt="([^"]*test/cut/0\.png[^"]*)"', text)
    assert [each.split(" test/cut")[0] for each in cut] == [
        "The image",
        "Anomaly map of",
        "The image",
        "Mask of",
    ]
    assert "nobody drew this defect" in text  # of test/hole
    assert "a good one: there is no defect" in text
    assert len(re.findall('src="data:image/webp;base64,', text)) >= 7 * 3


def test_a_fit_and_its_evaluation_share_a_page_that_is_the_same_each_time(
    reported: Reported, fit: Job, evaluation: Job
) -> None:
    one, other = page(reported, fit), page(reported, evaluation)
    assert one == page(reported, fit)
    assert one.partition("</header>")[2] == other.partition("</header>")[2]
    assert f"evaluated by {evaluation.id}" in one
    assert f"of the fit {fit.id[:8]}" in other


def test_lineage_names_jobs_attempts_data_stages_code_and_alias(
    reported: Reported, fit: Job, evaluation: Job
) -> None:
    champion = Champion(model="m-parts-screw", alias="best", revision=1, job_id=fit.id, user="ann")
    reported.store.champions.promote(champion)
    seen = section(page(reported, evaluation), "Lineage")
    stages = fit.result["stages"]
    assert isinstance(stages, list)
    assert stages
    for each in (
        f"The train job {fit.id}",
        f"The evaluate job {evaluation.id}",
        fit.spec.dataset.fingerprint,
        *(f"Stage {stage['stage']} stages/{stage['key']}" for stage in stages),  # type: ignore[index,call-overload]
        "commit abc123, version 0.1.0",
        "10/20 percent held out",
        "Seed 0",
        "w1 on here cpu 1",
        "m-parts-screw@best, revision 1, not published yet; given by ann",
    ):
        assert each in seen
    assert "blur_sigma 0.5" in section(page(reported, evaluation), "Settings")


def test_the_curve_of_found_against_false_alarms_has_the_area_that_was_measured(
    reported: Reported, evaluation: Job
) -> None:
    results = subject_of(reported.store, reported.storage, evaluation).results
    assert results is not None
    points = roc_points(results.of_split(TEST))
    pairs = pairwise(points)
    area = sum((right[0] - left[0]) * (left[1] + right[1]) / 2 for left, right in pairs)
    assert area == pytest.approx(evaluation.result["metrics"]["test/image_auroc"])  # type: ignore[index,call-overload]


@pytest.mark.usefixtures("learners")
def test_a_fit_that_was_not_evaluated_says_so_and_what_to_type(reported: Reported, category: Path) -> None:
    fit = reported.train(category, "gradual", {"image_size": 16})
    text = page(reported, fit)
    assert f"<code>adctl submit evaluate {fit.id}</code>" in text
    assert "train/loss" in section(text, "Training")
    assert "What it misses" not in text
    waiting = reported.submit_evaluation(fit)
    assert f"adctl watch {waiting.id}" in page(reported, fit)
    failed = reported.fail(waiting, "test/cut/0.png is no picture; replace it")
    for job in (fit, failed):
        assert "test/cut/0.png is no picture" in words(page(reported, job))
        assert (
            f"<code>adctl why {failed.id}</code>; run it again with: <code>adctl retry {failed.id}</code>"
            in page(reported, job)
        )


def test_without_anything_held_out_there_is_no_threshold_and_the_page_says_how_to_get_one(
    reported: Reported, category: Path
) -> None:
    fit = reported.train(category, "pixel_mean", {**CONFIG, "blur_sigma": 0.7}, holdout="none")
    text = page(reported, reported.evaluate(fit))
    assert f"adctl submit train --from {fit.id} --holdout 10/10" in text
    assert "the highest of 3 normal test images stands in for it" in words(text)
    assert "none: no images were held out to fix one" in words(text)


def test_results_that_are_gone_or_broken_are_named_and_the_rest_is_shown(
    reported: Reported, fit: Job, evaluation: Job, tmp_path: Path
) -> None:
    reported.storage.fetch(str(evaluation.result["bundle"]), tmp_path / "results")
    (tmp_path / "results" / "cases.zip").write_bytes(b"no archive")
    (tmp_path / "results" / "curves" / "pixels.json").write_text("[1")
    found = read(tmp_path / "results")
    assert [problem.partition(" (")[0] for problem in found.problems] == [
        "the pictures cannot be read",
        "the curves of pixels cannot be read",
    ]
    again = reported.evaluate(fit)
    reported.storage.remove(str(again.result["bundle"]))
    seen = words(page(reported, again))
    assert "has no manifest" in seen or "no manifest" in seen
    assert "evaluate it again" in seen


def test_an_evaluation_from_before_there_were_pictures_says_so(
    reported: Reported, evaluation: Job, tmp_path: Path
) -> None:
    reported.storage.fetch(str(evaluation.result["bundle"]), tmp_path / "results")
    (tmp_path / "results" / "cases.zip").unlink()
    (tmp_path / "results" / "curves" / "pixels.json").unlink()
    text = page_of(reported.store, reported.storage, evaluation, tmp_path / "results")
    assert markup.problems(text) == []
    assert "before pictures were kept" in text
    assert "before curves of pixels were kept" in text
    assert "ROC: found against false alarms" in text


def test_names_that_look_like_markup_stay_words(reported: Reported, evaluation: Job, tmp_path: Path) -> None:
    reported.storage.fetch(str(evaluation.result["bundle"]), tmp_path / "results")
    scores = tmp_path / "results" / "scores.csv"
    scores.write_text(scores.read_text().replace("hole", '<script src="//evil">&"'))
    odd = replace(evaluation, name="<img src=x onerror=alert(1)>", error="</main>")
    text = page_of(reported.store, reported.storage, odd, tmp_path / "results")
    assert markup.problems(text) == []
    assert '<script src="//evil">&"' in words(text)


def test_a_trial_has_the_page_of_its_sweep_and_a_job_that_did_nothing_has_none(
    reported: Reported, fit: Job
) -> None:
    spec = JobSpec.from_json({**fit.spec.to_json(), "kind": "trial", "measures": ["test/image_auroc"]})
    trial = reported.submit(spec, group="night")
    with pytest.raises(InvalidRequest, match=r"is a trial of the sweep night .*: adctl report night"):
        page_of(reported.store, reported.storage, trial)
    queued = reported.submit(replace(fit.spec, seed=9))
    with pytest.raises(Conflict, match=rf"is queued and has done nothing .*: adctl why {queued.id}"):
        page_of(reported.store, reported.storage, queued)


def test_a_fit_that_runs_shows_how_it_stands(reported: Reported, fit: Job) -> None:
    job = reported.submit(replace(fit.spec, seed=11))
    reported.lease(job)
    running = reported.store.jobs.get(job.id)
    assert running.kind is JobKind.TRAIN
    assert f"It is running and not fitted yet. Watch it with: adctl watch {job.id}" in words(
        page(reported, running)
    )
