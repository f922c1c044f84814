"""Samplers and pruners by name with their options: what can be asked for; Optuna makes them elsewhere."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from ad_platform.errors import InvalidRequest, InvalidValue
from ad_platform.naming import match
from ad_platform.specs import Json
from ad_platform.sweeps.dimensions import Dimension
from ad_platform.sweeps.study_spec import Method

NO_PRUNER = "none"
DEFAULT_SAMPLER, DEFAULT_PRUNER = "tpe", "median"
RUNGS = 8  # of a trial, at most; what an option that counts rungs may be


@dataclass(frozen=True)
class Option:
    """A number that a sampler or pruner takes, or a choice."""

    low: float = 1
    high: float = 1_000_000
    whole: bool = True
    choices: tuple[str, ...] = ()

    def read(self, what: str, text: str) -> Json:
        """Read it from text; raise InvalidValue with the range."""
        if self.choices:
            return match(f"{what} option", text, self.choices)
        try:
            value = float(text)
        except ValueError:
            value = float("nan")
        if not self.low <= value <= self.high or (self.whole and value != int(value)):
            kind = "a whole number" if self.whole else "a number"
            raise InvalidValue(f"{what} must be {kind} from {self.low:g} to {self.high:g}, not '{text}'")
        return int(value) if self.whole else value


@dataclass(frozen=True)
class Known:
    """What is known of a sampler or pruner."""

    summary: str
    options: Mapping[str, Option] = field(default_factory=dict)
    several: bool = False  # whether it can look for more than one objective


_STARTUP = {"n_startup_trials": Option(0)}
_RUNG_OPTIONS = {
    "n_warmup_steps": Option(0, RUNGS),
    "interval_steps": Option(1, RUNGS),
    "n_min_trials": Option(),
}
SAMPLERS: Mapping[str, Known] = {
    "tpe": Known(
        "tree-structured Parzen estimators: models good and bad settings",
        {**_STARTUP, "n_ei_candidates": Option()},
        several=True,
    ),
    "cmaes": Known(
        "CMA-ES: an evolution strategy for numeric settings",
        {**_STARTUP, "sigma0": Option(1e-9, 1e9, whole=False), "popsize": Option(2)},
    ),
    "gp": Known("a Gaussian process: few, expensive trials", _STARTUP, several=True),
    "qmc": Known(
        "a quasi-random sequence: even coverage",
        {"qmc_type": Option(choices=("sobol", "halton"))},
        several=True,
    ),
    "random": Known("independent draws", several=True),
    "grid": Known("every point once, in random order", several=True),
    "nsgaii": Known("NSGA-II: a genetic algorithm", {"population_size": Option(2)}, several=True),
}
PRUNERS: Mapping[str, Known] = {
    NO_PRUNER: Known("every trial is finished", several=True),
    "median": Known("stop what is worse than the median at its rung", {**_STARTUP, **_RUNG_OPTIONS}),
    "percentile": Known(
        "stop what is not among the best of its rung",
        {"percentile": Option(0, 100, whole=False), **_STARTUP, **_RUNG_OPTIONS},
    ),
    "asha": Known(
        "successive halving: only the best part of a rung goes on",
        {
            "min_resource": Option(1, RUNGS),
            "reduction_factor": Option(2, 100),
            "min_early_stopping_rate": Option(0, RUNGS),
        },
    ),
    "hyperband": Known(
        "several successive halvings that begin at different rungs",
        {"min_resource": Option(1, RUNGS), "reduction_factor": Option(2, 100)},
    ),
    "patient": Known(
        "as median, but only once a trial has not got better for some rungs",
        {"patience": Option(0, RUNGS), "min_delta": Option(0, 1e9, whole=False), **_STARTUP, **_RUNG_OPTIONS},
    ),
}


def sampler(text: str, objectives: int = 1) -> Method:
    """Read a sampler, such as "tpe" or "tpe:n_startup_trials=5"; raise UnknownName or InvalidValue."""
    method = _read("sampler", text, SAMPLERS)
    if objectives > 1 and not SAMPLERS[method.name].several:
        able = ", ".join(name for name, known in SAMPLERS.items() if known.several)
        raise InvalidRequest(
            f"sampler {method.name} takes one objective, not {objectives}; take one of {able}"
        )
    return method


def pruner(text: str | None, objectives: int = 1) -> Method:
    """Read a pruner; none was asked for: the usual one where there is one objective."""
    if text is None:
        return Method(name=DEFAULT_PRUNER if objectives == 1 else NO_PRUNER)
    method = _read("pruner", text, PRUNERS)
    if objectives > 1 and method.name != NO_PRUNER:
        raise InvalidRequest(
            f"trials of {objectives} objectives cannot be pruned: nothing says which is better; --pruner none"
        )
    return method


def check_grid(method: Method, space: tuple[Dimension, ...]) -> None:
    """Raise InvalidRequest where a grid is asked for over a range without steps."""
    if method.name != "grid":
        return
    for dimension in space:
        if dimension.count is None or dimension.log:
            raise InvalidRequest(
                f"a grid needs steps, and {dimension.name}={dimension.words} has none; write a:b:step"
            )


def check_numeric(method: Method, space: tuple[Dimension, ...]) -> None:
    """Raise InvalidRequest where a sampler that needs numbers would search choices alone."""
    if method.name == "cmaes" and all(dimension.kind == "choice" for dimension in space):
        raise InvalidRequest("cmaes searches numbers, and there are only choices; take tpe, or grid")


def _read(what: str, text: str, known: Mapping[str, Known]) -> Method:
    head, _, tail = text.strip().partition(":")
    name = match(what, head.strip(), known)
    options: dict[str, Json] = {}
    for part in filter(None, (each.strip() for each in tail.split(","))):
        key, sign, value = (each.strip() for each in part.partition("="))
        if not sign:
            raise InvalidValue(f"an option of a {what} is written {name}:NAME=VALUE, not '{part}'")
        option = match(f"option of {what} {name}", key, known[name].options)
        options[option] = known[name].options[option].read(f"{what} {name}: {option}", value)
    return Method(name=name, options=options)
