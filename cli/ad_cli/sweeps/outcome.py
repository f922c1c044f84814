"""What the best trial of a sweep came to once it was trained and evaluated, in a few lines."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from ad_cli import measures
from ad_cli.sweeps import words

if TYPE_CHECKING:
    from ad_platform.specs import Json
    from ad_platform.sweeps.viewing import SweepView

JOBS = {"train": "trained by", "evaluate": "evaluated by"}
HARDLY = 0.002  # of an objective; less luck than that is not worth a word


def told(view: SweepView) -> dict[str, str]:
    """Return its jobs, its measures beside those of the first settings, and how lucky the choice was."""
    final = view.final
    facts = {label: str(final[name]) for name, label in JOBS.items() if final.get(name)}
    facts |= _measures(view)
    if luck := _luck(_mapping(final.get("optimism"))):
        facts["choice"] = luck
    if final.get("error"):
        facts["error"] = str(final["error"])
    return facts


def measured(view: SweepView) -> bool:
    """Say whether the best was evaluated, so that it can be promoted."""
    return bool(view.final.get("metrics")) and not view.final.get("error")


def _measures(view: SweepView) -> dict[str, str]:
    numbers = _numbers(view.final.get("metrics"))
    before = _numbers(_mapping(view.final.get("preset")).get("metrics"))
    intervals = _mapping(view.final.get("intervals"))
    compared = [objective.metric for objective in view.spec.objectives]
    return {
        name: words.number(value) + _before(before.get(name)) + _interval(intervals.get(name))
        for name, value in measures.in_order(numbers).items()
        if name in measures.HEADLINES or name in compared
    }


def _interval(ends: Json) -> str:
    if isinstance(ends, list) and len(ends) == 2 and all(isinstance(end, int | float) for end in ends):
        return f"  [{float(str(ends[0])):.4f}, {float(str(ends[1])):.4f}]"
    return ""


def _before(before: float | None) -> str:
    return "" if before is None else f"  before: {words.number(before)}"


def _luck(optimism: Mapping[str, Json]) -> str:
    """Say how much of the value that chose the best is luck of the choice."""
    found = _numbers(optimism)
    if not {"selected", "corrected", "optimism", "low", "high", "trials"} <= found.keys():
        return ""
    chosen = f"{words.number(found['selected'])} as the best of {found['trials']:.0f}"
    spread = f"[{words.number(found['low'])}, {words.number(found['high'])}]"
    elsewhere = f"{words.number(found['corrected'])} {spread} on images that had no part in it"
    if found["optimism"] < HARDLY:
        return f"{chosen}, which hardly flatters: {elsewhere}"
    return f"{chosen}, of which about {words.number(found['optimism'])} is luck: {elsewhere}"


def _numbers(values: Json | Mapping[str, Json]) -> dict[str, float]:
    return {
        name: float(value)
        for name, value in _mapping(values).items()
        if isinstance(value, int | float) and not isinstance(value, bool)
    }


def _mapping(value: Json | Mapping[str, Json]) -> Mapping[str, Json]:
    return value if isinstance(value, Mapping) else {}
