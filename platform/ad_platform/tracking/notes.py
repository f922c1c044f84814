"""The description at the head of a run's page: what the job did, what came of it, where to look."""

from collections.abc import Mapping

from ad_platform.records import Job
from ad_platform.results import leak_check_of, observed_of, result_of, selected_on
from ad_platform.rungs import seen_of
from ad_platform.specs import Json
from ad_platform.states import JobKind, JobState

NOTE_TAG = "mlflow.note.content"  # Markdown
HEADLINE = {
    "test/image_auroc": "image AUROC",
    "test/pixel_auroc": "pixel AUROC",
    "test/aupro_30": "AUPRO 0.3",
    "validation/image_auroc": "AUROC on synthetic defects",
}


def note(job: Job) -> str:
    """Return the description of a job's run, in Markdown."""
    lines = [_what(job)]
    if job.state is JobState.SUCCEEDED and job.kind is JobKind.TRAIN:
        lines.append("The fitted detector lies in `model/`; its curves are among the metrics.")
    elif job.state is JobState.SUCCEEDED and job.kind is JobKind.EVALUATE:
        lines += [_warning(job), _headline(result_of(job).metrics)]
        lines.append(f"{_threshold(job.result.get('operating_point'))}{_seen(job)}")
        lines.append(
            "To look at: `report.html`, `results/gallery/`, `results/curves/`, `results/histogram.png`; to "
            "compute with: `results/results.csv`, `results/scores.csv`."
        )
    elif job.state is JobState.SUCCEEDED and job.kind is JobKind.PREDICT:
        lines += [_counts(job), "The score of each image is in `results/scores.csv`."]
    elif job.state is JobState.SUCCEEDED:
        lines += [_measures(job), "The score of each image is in `results/scores.csv`; there is no model."]
    elif job.pruned:
        lines += [_measures(job), f"**{job.error}**; the log is in `log.txt`."]
    elif job.state.terminal:
        lines.append(f"**{job.state}**{f': {job.error}' if job.error else ''}; the log is in `log.txt`.")
    return "\n\n".join(line for line in lines if line)


def _what(job: Job) -> str:
    spec = job.spec
    place = f"**{spec.dataset.dataset}/{spec.dataset.category}**"
    preset = f", preset {spec.preset}" if spec.preset else ""
    if spec.kind is JobKind.EVALUATE:
        return f"Evaluates **{spec.detector}**{preset} of job `{(spec.source or '')[:8]}` on {place}."
    if spec.kind is JobKind.TRIAL:
        number = job.tags.get("trial", "")
        which = f"trial {number} of `{job.group}`" if number else f"a trial of `{job.group}`"
        return f"Tries settings of **{spec.detector}**{preset}, seed {spec.seed}, on {place}: {which}."
    if spec.pictures is not None:
        model = f"**{spec.detector}**{preset} of job `{(spec.source or '')[:8]}`, fitted to {place}"
        return f"Scores {spec.pictures.count} images of `{spec.dataset.path}` with {model}."
    return f"Trains **{spec.detector}**{preset}, seed {spec.seed}, on {place}."


def _measures(job: Job) -> str:
    """Return what a trial measured, or what was seen of it by the last of its rungs."""
    metrics = result_of(job).metrics
    found = [f"{name} **{metrics[name]:.4g}**" for name in job.spec.measures if name in metrics]
    if found:
        return f"{', '.join(found)}."
    seen = seen_of(job)
    if seen is None or seen.value is None:
        return ""
    at = f" at rung {len(seen.rungs)}" if seen.rungs else ""
    return f"{seen.metric} **{seen.value:.4g}**{at}, when it was ended."


def _counts(job: Job) -> str:
    """Return how many images a prediction decided how."""
    counted = result_of(job).metrics
    return ", ".join(f"{name} **{number:.0f}**" for name, number in counted.items()) + "."


def _headline(metrics: Mapping[str, float]) -> str:
    # One line: a page shows but the first few of a description.
    found = [f"{name} **{metrics[key]:.3f}**" for key, name in HEADLINE.items() if key in metrics]
    return f"{', '.join(found)}." if found else ""


def _warning(job: Job) -> str:
    """Say what speaks against the measures, before they are read."""
    said, check = [], leak_check_of(job)
    if check is not None and check.passed is False:
        said.append(f"**Leak check failed: {check.detail}.**")
    if selected_on(job).startswith("test"):
        said.append("Settings were selected on test images, so the measures flatter.")
    return " ".join(said)


def _seen(job: Job) -> str:
    """Say what the threshold called anomalous among the test images."""
    seen = observed_of(job)
    if seen is None:
        return ""
    alarms = f" Of good test images {seen.false_alarms.words} are false alarms." if seen.false_alarms else ""
    found = f" Of anomalous ones {seen.found.words} are found." if seen.found else ""
    return f"{alarms}{found}"


def _threshold(point: Json) -> str:
    """Say what the operating point is; the result is JSON that an older worker may have written."""
    if not isinstance(point, dict):
        return "No threshold: nothing was held out to calibrate on."
    threshold, rate, normals = (point.get(name) for name in ("threshold", "rate", "normals"))
    if not isinstance(threshold, int | float) or not isinstance(rate, int | float):
        return ""
    by = f"by {normals} calibration images" + ("" if point.get("certified") else ", not certified")
    return (
        f"Threshold on the image score: **{threshold:.4g}** (at most {100 * rate:.3g} % false alarms, {by})."
    )
