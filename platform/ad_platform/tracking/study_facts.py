"""What the tracking server is told of a study: parameters, tags, curves, and a description."""

from collections.abc import Sequence

from ad_platform.pages import notation
from ad_platform.records import Trial
from ad_platform.specs import Json
from ad_platform.states import TrialOrigin, TrialState
from ad_platform.storage.metrics import Point
from ad_platform.sweeps.report import words
from ad_platform.sweeps.report.view import View, value_of
from ad_platform.sweeps.study_spec import StudySpec
from ad_platform.tracking import facts
from ad_platform.tracking.notes import NOTE_TAG

BEST, COUNT = "best/", "trials/"  # what the names of curves begin with
SEARCH = "search."  # what the names of searched settings begin with; without it, what they were before


def params(spec: StudySpec) -> dict[str, str]:
    """Return what is searched and how, and the settings that the search begins with."""
    return {
        **facts.flat_params(spec.job.config),
        **{f"{SEARCH}{dimension.name}": dimension.words for dimension in spec.space},
        "sweep.objectives": ", ".join(objective.words for objective in spec.objectives),
        "sweep.sampler": spec.sampler.words,
        "sweep.sampler_seed": str(spec.seed),
        "sweep.pruner": spec.pruner.words,
        "sweep.seeds": str(spec.seeds),
    }


def tags(seen: View) -> dict[str, str]:
    """Return everything about a study that one might search for."""
    study, spec, counted, known = seen.study, seen.spec, seen.sums, seen.facts
    found: dict[str, Json] = {
        facts.STUDY_TAG: study.id,
        NOTE_TAG: note(seen),
        "sweep": study.name,
        "adctl.kind": "sweep",
        "adctl.state": study.state.value,
        "adctl.detector": spec.job.detector,
        "adctl.preset": spec.job.preset,
        "adctl.holdout": spec.job.holdout,
        "adctl.dataset_fingerprint": spec.job.dataset.fingerprint,
        "adctl.selected_on": "test" if spec.on_test else "validation",
        "adctl.wanted": study.wanted,
        "adctl.asked": counted.asked,
        **{
            f"adctl.{state.value}": number
            for state, number in (
                (TrialState.COMPLETE, counted.complete),
                (TrialState.PRUNED, counted.pruned),
                (TrialState.FAILED, counted.failed),
                (TrialState.RUNNING, counted.running),
            )
        },
        "adctl.best_trial": seen.chosen.number if seen.chosen is not None else None,
        "adctl.train_job": known.train_job,
        "adctl.evaluate_job": known.evaluate_job,
        "mlflow.user": study.user,
        "mlflow.source.git.commit": spec.code.get("commit"),
        "mlflow.source.name": "adctl",
        **{f"adctl.code.{name}": value for name, value in spec.code.items()},
    }
    return {name: facts.text(value) for name, value in found.items() if value not in (None, "")}


def points(seen: View) -> list[Point]:
    """Return one point for each trial that has ended: the best value so far, and how many ended how.

    In the order in which they ended, so that no later trial changes a point that was sent. What came of the
    final jobs stands beside the last of them.
    """
    ended = [trial for trial in seen.trials if _counts(trial)]
    ended.sort(key=lambda trial: (trial.ended_at or 0.0, trial.number))
    complete = {trial.number for trial in seen.complete}
    best: dict[str, float] = {}
    counts = {TrialState.COMPLETE: 0, TrialState.PRUNED: 0, TrialState.FAILED: 0}
    found: list[Point] = []
    for trial in ended:
        counts[trial.state] += 1
        if trial.number in complete:
            _improve(seen, trial, best)
        counted = {f"{COUNT}{state.value}": float(number) for state, number in counts.items()}
        found.append(Point(step=trial.number, time=trial.ended_at or 0.0, metrics={**best, **counted}))
    return found


def final(seen: View) -> Sequence[Point]:
    """Return the point that tells of the final jobs, once they have ended; another after an extension."""
    test, finished = seen.facts.test, seen.study.finished_at
    if test is None or finished is None:
        return ()
    metrics = {test.metric: test.value}
    if seen.facts.preset_test is not None:
        metrics[f"preset/{test.metric}"] = seen.facts.preset_test
    if seen.facts.optimism is not None:
        metrics["selection/corrected"] = seen.facts.optimism.corrected
        metrics["selection/optimism"] = seen.facts.optimism.optimism
    return (Point(step=len(seen.trials), time=finished, metrics=metrics),)


def note(seen: View) -> str:
    """Return the description of a study's run, in Markdown."""
    space = ", ".join(f"**{dimension.name}** ({dimension.words})" for dimension in seen.spec.space)
    lines = [f"Searches {space} of {words.headline(seen)}.", f"{words.sums(seen)}."]
    if seen.chosen is not None and not seen.several:
        value = notation.score(value_of(seen.chosen))
        mark = "Chosen" if seen.facts.chosen is not None else "Best so far"
        found = f"{mark}: trial {seen.chosen.number}, {seen.first.metric} **{value}**"
        lines.append(f"{found}, {words.settings(seen, seen.chosen)}.")
    lines += [sentence.text for sentence in words.sentences(seen)]
    lines.append("To look at: `report.html`; to compute with: `trials.csv`.")
    return "\n\n".join(lines)


def _counts(trial: Trial) -> bool:
    return trial.state is not TrialState.RUNNING and trial.origin is not TrialOrigin.RULED_OUT


def _improve(seen: View, trial: Trial, best: dict[str, float]) -> None:
    for index, objective in enumerate(seen.spec.objectives):
        name, value = f"{BEST}{objective.metric}", value_of(trial, index)
        if name not in best or objective.better(value, best[name]):
            best[name] = value
