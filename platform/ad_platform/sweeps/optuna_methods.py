"""Optuna's samplers, pruners and distributions, built anywhere from a study's record."""

import hashlib
import json
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from ad_platform.specs import Json
from ad_platform.sweeps import methods
from ad_platform.sweeps.dimensions import CHOICE, INT, Dimension
from ad_platform.sweeps.study_spec import Method, StudySpec

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution
    from optuna.pruners import BasePruner
    from optuna.samplers import BaseSampler, CmaEsSampler


def seed_of(spec: StudySpec, number: int) -> int:
    """Return the seed of the sampler that proposes a trial.

    One for each number: samplers rebuilt with one seed propose the same settings again and again. Sequences
    that count in the storage keep one seed, by which their points belong together.
    """
    if spec.sampler.name in ("qmc", "grid"):
        number = 0
    text = json.dumps([spec.seed, number])
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big") >> 1


def sampler(spec: StudySpec, number: int) -> "BaseSampler":
    """Return the sampler that proposes the trial of this number."""
    from optuna import samplers

    seed, options = seed_of(spec, number), dict(spec.sampler.options)
    quiet = {"warn_independent_sampling": False}
    made: Mapping[str, Callable[[], BaseSampler]] = {
        "tpe": lambda: samplers.TPESampler(seed=seed, **options),  # type: ignore[arg-type]
        "cmaes": lambda: _cmaes()(seed=seed, **quiet, **options),  # type: ignore[arg-type]
        "gp": lambda: samplers.GPSampler(seed=seed, **quiet, **options),  # type: ignore[arg-type]
        "qmc": lambda: samplers.QMCSampler(
            seed=seed,
            scramble=True,
            warn_asynchronous_seeding=False,
            warn_independent_sampling=False,
            **options,  # type: ignore[arg-type]
        ),
        "random": lambda: samplers.RandomSampler(seed=seed),
        "grid": lambda: _Grid({each.name: stored_grid(each) for each in spec.space}, seed=seed),
        "nsgaii": lambda: samplers.NSGAIISampler(seed=seed, **options),  # type: ignore[arg-type]
    }
    return made[spec.sampler.name]()


def _cmaes() -> "type[CmaEsSampler]":
    from ad_platform.sweeps.cmaes_state import CmaEs

    return CmaEs


def pruner(method: Method) -> "BasePruner":
    """Return a pruner by its record."""
    from optuna import pruners

    options: dict[str, Any] = dict(method.options)
    if method.name == "median":
        return pruners.MedianPruner(**options)
    if method.name == "percentile":
        return pruners.PercentilePruner(options.pop("percentile", 25.0), **options)
    if method.name == "asha":
        return pruners.SuccessiveHalvingPruner(**{"min_resource": 1, "reduction_factor": 2, **options})
    if method.name == "hyperband":
        usual = {"min_resource": 1, "reduction_factor": 2}
        return pruners.HyperbandPruner(max_resource=methods.RUNGS, **{**usual, **options})
    if method.name == "patient":
        patience, delta = options.pop("patience", 2), options.pop("min_delta", 0.0)
        return pruners.PatientPruner(pruners.MedianPruner(**options), patience, delta)
    return pruners.NopPruner()


def distributions(space: tuple[Dimension, ...]) -> dict[str, "BaseDistribution"]:
    """Return a space as Optuna knows it."""
    return {each.name: _distribution(each) for each in space}


def _distribution(one: Dimension) -> "BaseDistribution":
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    if one.kind == CHOICE:
        return CategoricalDistribution([stored(one, choice) for choice in one.choices])
    if one.kind == INT:
        return IntDistribution(int(one.low), int(one.high), log=one.log, step=int(one.step or 1))
    return FloatDistribution(one.low, one.high, log=one.log, step=one.step)


def stored(one: Dimension, value: Json) -> Any:
    """Return a value as Optuna keeps it: a choice that is a list as text, since it takes none."""
    return json.dumps(value) if one.kind == CHOICE and isinstance(value, list | dict) else value


def meant(one: Dimension, value: Any) -> Json:
    """Return the setting that a value of Optuna's stands for."""
    if one.kind == CHOICE:
        return next(choice for choice in one.choices if stored(one, choice) == value)
    # Multiples of a step such as 0.1 end in a row of digits.
    return int(value) if one.kind == INT else float(f"{value:.12g}")


def stored_grid(one: Dimension) -> list[Any]:
    """Return all values of a dimension as Optuna keeps them."""
    assert one.count is not None
    return [stored(one, one.value(index)) for index in range(one.count)]


def _Grid(space: Mapping[str, list[Any]], seed: int) -> "BaseSampler":  # noqa: N802 - makes one of a class
    from optuna.samplers import GridSampler

    class Grid(GridSampler):
        """A grid that ends with the trials that were wanted, not by stopping a loop that is not there."""

        def after_trial(self, *_: Any, **__: Any) -> None:
            """Do nothing: whoever asks counts."""

    return Grid(space, seed=seed)
