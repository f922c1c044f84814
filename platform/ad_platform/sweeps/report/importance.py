"""How much each setting matters, by fANOVA on an Optuna study in memory: no storage of Optuna's is needed."""

import logging
import random
from collections.abc import Sequence
from importlib.util import find_spec
from typing import TYPE_CHECKING

from ad_platform.errors import MissingExtra
from ad_platform.records import Trial
from ad_platform.sweeps.dimensions import CHOICE, INT, Dimension
from ad_platform.sweeps.objectives import MAX
from ad_platform.sweeps.report.view import View, value_of

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution
    from optuna.study import Study

FEWEST = 8  # complete trials that a forest can learn anything from
MOST = 500  # trials that it learns from, to end within seconds
TREES, SEED = 32, 0


def importance(view: View) -> tuple[list[dict[str, float]], str]:
    """Return the share of each setting for each objective, or nothing and the reason why not."""
    usable = [trial for trial in view.complete if set(view.spec.names) <= set(trial.params)]
    if len(view.spec.space) < 2:
        return [], "Only one setting was searched, so everything depends on it."
    if len(usable) < FEWEST:
        count = len(usable)
        return [], f"{count} complete trial{'' if count == 1 else 's'} cannot tell; it takes {FEWEST}."
    varying = [
        index
        for index in range(len(view.spec.objectives))
        if len({value_of(trial, index) for trial in usable}) > 1
    ]
    if not varying:
        return [], "Every trial has the same value, so no setting made a difference."
    if find_spec("sklearn") is None:
        return [], "It needs scikit-learn, which is not installed here."
    trials = usable if len(usable) <= MOST else random.Random(SEED).sample(usable, MOST)  # noqa: S311
    study = in_memory(view, trials)
    equal = dict.fromkeys(view.spec.names, 0.0)
    shares = [
        _shares(study, index) if index in varying else equal for index in range(len(view.spec.objectives))
    ]
    return shares, ""


def in_memory(view: View, trials: Sequence[Trial]) -> "Study":
    """Return an Optuna study with these complete trials; raise MissingExtra where there is no Optuna."""
    try:
        from optuna.storages import InMemoryStorage
        from optuna.study import StudyDirection, create_study
        from optuna.trial import create_trial
    except ImportError as error:
        raise MissingExtra("a report of a sweep", "worker") from error
    logging.getLogger("optuna").setLevel(logging.WARNING)  # it would tell of every study that is made
    directions = [
        StudyDirection.MAXIMIZE if objective.direction == MAX else StudyDirection.MINIMIZE
        for objective in view.spec.objectives
    ]
    study = create_study(storage=InMemoryStorage(), directions=directions)
    known = {dimension.name: dimension for dimension in view.spec.space}
    spaces = {name: _distribution(dimension, trials) for name, dimension in known.items()}
    study.add_trials(
        [
            create_trial(
                params={name: _known_value(known[name], trial) for name in known},
                distributions=spaces,
                values=list(trial.values or ()),
            )
            for trial in trials
        ]
    )
    return study


def _shares(study: "Study", index: int) -> dict[str, float]:
    from optuna.importance import FanovaImportanceEvaluator, get_param_importances

    evaluator = FanovaImportanceEvaluator(n_trees=TREES, seed=SEED)
    found = get_param_importances(study, evaluator=evaluator, target=lambda trial: float(trial.values[index]))
    return {name: float(share) if share == share else 0.0 for name, share in found.items()}


def _distribution(dimension: Dimension, trials: Sequence[Trial]) -> "BaseDistribution":
    """Return the range of a setting, wide enough for trials that another study made."""
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    if dimension.kind == CHOICE:
        return CategoricalDistribution(_labels(dimension, trials))
    values = [float(str(trial.params[dimension.name])) for trial in trials]
    low, high = min(dimension.low, *values), max(dimension.high, *values)
    if dimension.kind == INT:
        return IntDistribution(int(low), int(high), log=dimension.log)
    return FloatDistribution(low, high, log=dimension.log)


def _labels(dimension: Dimension, trials: Sequence[Trial]) -> list[str]:
    """Return choices as text, since Optuna takes no lists."""
    return list(
        dict.fromkeys(
            [*map(str, dimension.choices), *(str(trial.params[dimension.name]) for trial in trials)]
        )
    )


def _known_value(dimension: Dimension, trial: Trial) -> str | int | float:
    value = trial.params[dimension.name]
    if dimension.kind == CHOICE:
        return str(value)
    return int(float(str(value))) if dimension.kind == INT else float(str(value))
