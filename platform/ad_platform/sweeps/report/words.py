"""What a report says before any plot: what was searched, what came of it, and what to think of that."""

from collections.abc import Sequence

from ad_platform.pages import notation
from ad_platform.pages.frame import Sentence, Tile
from ad_platform.records import Trial
from ad_platform.specs import Json
from ad_platform.states import StudyState
from ad_platform.sweeps.dimensions import Dimension
from ad_platform.sweeps.report import look
from ad_platform.sweeps.report.facts import Optimism, TestScore
from ad_platform.sweeps.report.view import View, value_of

HARDLY = 0.002  # of an objective; less optimism than that is none worth the word


def headline(view: View) -> str:
    """Return what was searched on what, in one line."""
    job = view.spec.job
    preset = f" (preset {job.preset})" if job.preset else ""
    return f"{job.detector}{preset} on {job.dataset.dataset}/{job.dataset.category}"


def tiles(view: View) -> list[Tile]:
    """Return the figures that a person looks for first."""
    chosen, facts, metric = view.chosen, view.facts, view.first.metric
    picked = "chosen trial" if facts.chosen is not None else "best trial"
    picked += " so far" if facts.chosen is None and _goes_on(view) else ""
    found: list[Tile] = []
    if view.several:
        found.append(Tile(title="on the Pareto front", value=str(len(view.front)), words="trials"))
    if chosen is not None and (not view.several or facts.chosen is not None):
        found.append(Tile(title=picked, value=str(chosen.number), words=settings(view, chosen)))
        value = facts.selected if facts.selected is not None else value_of(chosen)
        found.append(
            Tile(
                title=metric,
                value=notation.score(value),
                words="by which it was chosen" if facts.chosen is not None else "",
            )
        )
    if facts.optimism is not None:
        words = (
            f"{_interval(facts.optimism.low, facts.optimism.high)}, of which no luck of the choice is part"
        )
        found.append(Tile(title="corrected", value=notation.score(facts.optimism.corrected), words=words))
    if facts.test is not None:
        found.append(
            Tile(
                title=facts.test.metric,
                value=notation.score(facts.test.value),
                words=_beside(view, facts.test),
            )
        )
    return found


def sentences(view: View) -> list[Sentence]:
    """Return what to think of the result."""
    found: list[Sentence] = []
    if view.spec.on_test:
        found.append(
            Sentence(
                text="selected_on=test: test labels chose the settings, so scores on those images flatter, "
                "and say little of new ones. Papers often do so; promotion refuses it unless forced.",
                warning=True,
            )
        )
    if view.chosen is None:
        found.append(Sentence(text=_nothing(view)))
        return found
    if view.several and view.facts.chosen is None:
        text = f"Which of the {len(view.front)} trials on the front is best is for you to say."
        found.append(Sentence(text=text))
        return found
    found.append(Sentence(text=_flattery(view, view.facts.optimism)))
    if view.facts.error:
        found.append(Sentence(text=f"Its final jobs came to nothing: {view.facts.error}", warning=True))
    if view.facts.test is not None:
        found.append(Sentence(text=_tested(view, view.facts.test)))
    if len(view.complete) > 1 and len({value_of(trial) for trial in view.complete}) == 1:
        text = "Every trial has the same value: the settings make no difference that these images show."
        found.append(Sentence(text=text, warning=True))
    elif _ties(view) > 1 and not view.several:
        found.append(
            Sentence(text=f"{_ties(view)} trials share the best value; the first of them counts as the best.")
        )
    return found


def pairs(view: View) -> dict[str, str]:
    """Return how the study was set up and how it went, as names with values."""
    study, spec, facts = view.study, view.spec, view.facts
    ended = study.finished_at
    took = notation.duration(max(0.0, (ended or view.until) - study.created_at))
    found = {
        "State": study.state.value,
        "Trials": sums(view),
        "Objectives": ", ".join(objective.words for objective in spec.objectives),
        "Sampler": f"{spec.sampler.words}, seed {spec.seed}",
        "Pruner": spec.pruner.words,
        "Repeats": f"{spec.seeds} seeds a trial, whose mean counts" if spec.seeds > 1 else "1 seed a trial",
        "Held out": spec.job.holdout,
        "Submitted": f"{notation.moment(study.created_at)} UTC" + (f" by {study.user}" if study.user else ""),
        "Ended" if ended else "As of": f"{notation.moment(ended or view.until)} UTC, after {took}",
        "Final jobs": _finals(facts.train_job, facts.evaluate_job),
    }
    return {name: value for name, value in found.items() if value}


def sums(view: View) -> str:
    """Return how the trials that were asked for ended, as a sum."""
    counted = view.sums
    parts = [f"{counted.complete} complete", f"{counted.pruned} pruned", f"{counted.failed} failed"]
    parts += [f"{counted.running} running"] if counted.running else []
    text = f"{counted.asked} asked = {' + '.join(parts)}"
    lack = view.study.wanted - (counted.asked - counted.again)
    text += f"; {lack} more wanted" if lack > 0 and _goes_on(view) else ""
    text += f"; {counted.again} in the place of failed ones" if counted.again else ""
    text += f"; {counted.warm} known from another sweep" if counted.warm else ""
    return text + (f"; {counted.ruled_out} ruled out, uncounted" if counted.ruled_out else "")


def searched(view: View) -> list[tuple[str, str, str, str]]:
    """Return each searched setting, its values, its value before the search and that of the chosen trial."""
    params = view.chosen.params if view.chosen and not (view.several and view.facts.chosen is None) else {}
    before = view.spec.job.config
    return [
        (dimension.name, _range(dimension), _known(before, dimension.name), _known(params, dimension.name))
        for dimension in view.spec.space
    ]


def kept(view: View) -> list[tuple[str, str]]:
    """Return the settings that were not searched."""
    names = set(view.spec.names)
    return [(name, notation.typed(value)) for name, value in _flat(view.spec.job.config) if name not in names]


def _flattery(view: View, optimism: Optimism | None) -> str:
    count, metric = len(view.complete), view.first.metric
    if optimism is None:
        if count == 1:
            return "One trial is complete: nothing was chosen yet, so nothing flatters."
        return (
            f"It is the best of {count} by {metric}. The best of many flatters: a part of its lead is luck "
            "with these images. How large a part was not estimated."
        )
    chosen = f"It scored {notation.score(optimism.selected)} as the best of {optimism.trials} by {metric}."
    spread = f"(95 % of draws from {notation.score(optimism.low)} to {notation.score(optimism.high)})"
    if optimism.optimism < HARDLY:
        return (
            f"{chosen} That hardly flatters: chosen on some of the {optimism.images} images and measured on "
            f"the others, it comes to {notation.score(optimism.corrected)} {spread}."
        )
    return (
        f"{chosen} About {notation.score(optimism.optimism)} of that is luck of the choice: chosen on some "
        f"of the {optimism.images} images and measured on the others, it comes to "
        f"{notation.score(optimism.corrected)} {spread}."
    )


def _tested(view: View, test: TestScore) -> str:
    where = "which also chose it" if view.spec.on_test else "which chose nothing"
    text = f"On the test images, {where}, it scores {notation.score(test.value)}"
    text += f" {_interval(test.low, test.high)}" if test.low is not None and test.high is not None else ""
    preset = view.facts.preset_test
    if preset is None:
        return f"{text}."
    text += f"; with the settings that the search began from it is {notation.score(preset)}"
    if test.low is not None and test.high is not None and test.low <= preset <= test.high:
        return f"{text}, a difference that so few images cannot tell from luck."
    return f"{text}, {'less' if preset < test.value else 'more' if preset > test.value else 'the same'}."


def _beside(view: View, test: TestScore) -> str:
    parts = [_interval(test.low, test.high)] if test.low is not None and test.high is not None else []
    preset = view.facts.preset_test
    parts += [f"preset {notation.score(preset)}"] if preset is not None else []
    return "; ".join(parts)


def _nothing(view: View) -> str:
    counted = view.sums
    if not view.trials:
        return "No trial was asked for yet."
    if counted.running:
        return "No trial is complete yet."
    if counted.pruned and not counted.failed:
        return "Every trial was pruned, so there is no best one: the pruner is too strict for this search."
    return "No trial is complete, so there is no best one; the table below says why."


def _ties(view: View) -> int:
    best = value_of(view.best) if view.best else 0.0
    return sum(value_of(trial) == best for trial in view.complete)


def _goes_on(view: View) -> bool:
    return view.study.state in (StudyState.RUNNING, StudyState.PAUSED)


def settings(view: View, trial: Trial) -> str:
    """Return what a trial tried, as it would be typed."""
    names = [name for name in view.spec.names if name in trial.params]
    return ", ".join(f"{name}={notation.typed(trial.params[name])}" for name in names)


def _interval(low: float | None, high: float | None) -> str:
    return f"({notation.score(low or 0.0)} to {notation.score(high or 0.0)})"


def _finals(train: str | None, evaluate: str | None) -> str:
    return ", ".join(
        [*([f"train {train}"] if train else []), *([f"evaluate {evaluate}"] if evaluate else [])]
    )


def _range(dimension: Dimension) -> str:
    if dimension.choices:
        return ", ".join(look.choices(dimension))
    text = f"{notation.number(dimension.low)} to {notation.number(dimension.high)}"
    if dimension.log:
        return f"{text}, logarithmic"
    stepped = dimension.step not in (None, 1)
    return f"{text} in steps of {notation.number(dimension.step or 0.0)}" if stepped else text


def _known(values: object, name: str) -> str:
    assert isinstance(values, dict)
    return notation.typed(values[name]) if name in values else "-"


def _flat(values: object, prefix: str = "") -> Sequence[tuple[str, Json]]:
    assert isinstance(values, dict)
    found: list[tuple[str, Json]] = []
    for name, value in sorted(values.items()):
        found += _flat(value, f"{prefix}{name}.") if isinstance(value, dict) else [(prefix + name, value)]
    return found
