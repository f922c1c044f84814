"""How `adctl list` finds, sorts and lays out jobs."""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from difflib import get_close_matches
from typing import TYPE_CHECKING

from ad_cli import shapes
from ad_cli.tables import Column, cut
from ad_platform.errors import InvalidValue, UnknownName
from ad_platform.requests import JobOrder
from ad_platform.states import JobState

if TYPE_CHECKING:
    from ad_platform.client import Client
    from ad_platform.records import Job
    from ad_platform.requests import JobFilter

SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What a list was asked for."""

    filter: JobFilter = field(default_factory=dict)  # type: ignore[assignment]
    since: float | None = None  # seconds since the epoch
    sort: str = "age"
    reverse: bool = False
    limit: int = 20


@dataclass(frozen=True, kw_only=True)
class Listed:
    """The jobs of a list, whether there are more, and the measure they are sorted by if it is one."""

    jobs: tuple[Job, ...]
    more: bool = False
    measure: str = ""


def find(client: Client, wanted: Wanted) -> Listed:
    """Return the jobs that were asked for, in the order that was asked for."""
    asked = wanted.filter.copy()
    asked["since"], asked["limit"] = wanted.since, wanted.limit + 1
    by = wanted.sort.lower()
    if by == "age":
        asked["oldest_first"] = wanted.reverse
        return _cut(client.jobs(**asked), wanted)
    asked["reverse"] = wanted.reverse
    if by in set(JobOrder):
        asked["sort"] = JobOrder(by)
        return _cut(client.jobs(**asked), wanted)
    known = client.measures()
    for measure in _meant(by, known):
        asked["measure"] = measure
        found = client.jobs(**asked)
        if any(measure in shapes.result_metrics(job) for job in found[:1]):
            return _cut(found, wanted, measure)
    raise _unknown(wanted.sort, known)


def _cut(found: Sequence[Job], wanted: Wanted, measure: str = "") -> Listed:
    return Listed(jobs=tuple(found[: wanted.limit]), more=len(found) > wanted.limit, measure=measure)


def moment_of(text: str, now: float | None = None) -> float:
    """Read a time of the past, as "90m", "2h", "3d" or "2026-11-20"; raise InvalidValue."""
    if length := re.fullmatch(r"(\d{1,9})([smhdw])", text.strip().lower()):
        return (time.time() if now is None else now) - int(length[1]) * SECONDS[length[2]]
    try:
        return datetime.fromisoformat(text.strip()).timestamp()
    except (ValueError, OverflowError):
        raise InvalidValue(
            f"--since takes a length of time or a date, such as 90m, 2h, 3d or 2026-11-20, not '{text}'"
        ) from None


def tags_of(texts: Sequence[str]) -> dict[str, str | None]:
    """Read "name=value", or "name" for any value; raise InvalidValue for a tag without a name."""
    tags: dict[str, str | None] = {}
    for text in texts:
        name, sign, value = text.partition("=")
        if not name.strip():
            raise InvalidValue(f"a tag is written name=value, or name for any value, not '{text}'")
        tags[name.strip()] = value.strip() if sign else None
    return tags


def nothing(wanted: Wanted) -> str:
    """Return what to say of a list without jobs."""
    if any(wanted.filter.values()) or wanted.since is not None:
        return "no job fits; all of them: adctl list"
    return "no jobs yet; submit one with: adctl submit train"


def columns(listed: Listed) -> list[Column]:
    """Return the columns; they stand where they stand whatever the jobs are."""
    result = listed.measure.rpartition("/")[2].upper() or "RESULT"
    return [
        Column(name="ID", width=shapes.shortest(job.id for job in listed.jobs)),
        Column(name="STATE", width=10, colour=lambda state: shapes.COLOURS.get(state, "")),
        Column(name="KIND", width=9),
        Column(name="DETECTOR", width=9),
        Column(name="DATA", width=16, cut=_cut_data),
        Column(name=result, width=max(12, len(result))),
        Column(name="AGE", width=4),
        Column(name="NAME", takes_rest=True),
    ]


def cells(job: Job, listed: Listed, now: float | None = None) -> tuple[str, ...]:
    """Return the cells of a job's row."""
    data = job.spec.dataset
    values = shapes.result_metrics(job)
    measured = f"{values[listed.measure]:.4g}" if listed.measure in values else "-"
    age = (time.time() if now is None else now) - job.created_at
    return (
        job.id[: shapes.shortest(one.id for one in listed.jobs)],
        shapes.state_words(job),
        job.kind.value,
        job.spec.detector,
        f"{data.dataset}/{data.category}",
        measured if listed.measure else _standing(job),
        shapes.coarse(age),
        job.name,
    )


def _standing(job: Job) -> str:
    """Say in twelve characters how a job stands or what it ended with."""
    if job.state is JobState.WAITING and job.needs:
        return f"for {job.needs[0][: shapes.SHORT]}"
    if job.state.terminal:
        ended = job.state is JobState.CANCELLED and not job.pruned
        return "-" if ended else shapes.progress_words(job)
    done = job.progress
    if not done.of:
        return "-"
    short = f"{100 * done.step // done.of}%"
    return long if len(long := f"{short} {done.step}/{done.of}") <= 12 else short


def _cut_data(words: str, limit: int) -> str:
    """Cut the dataset's name before the category's: the category is what tells jobs apart."""
    dataset, _, category = words.rpartition("/")
    room = limit - len(category) - 1
    return f"{cut(dataset, room)}/{category}" if room > 1 else cut(category, limit)


def _meant(typed: str, known: Sequence[str]) -> list[str]:
    """Return the measures that a name stands for: whole, or without what stands before its slash."""
    typed = typed.strip()
    exact = [name for name in known if name.lower() == typed]
    ends = [name for name in known if name.lower().rpartition("/")[2] == typed]
    tests_first = sorted(ends, key=lambda name: (not name.startswith("test/"), name))
    return list(dict.fromkeys([*exact, *tests_first]))


def _unknown(text: str, known: Sequence[str]) -> UnknownName:
    ends_of = {name.rpartition("/")[2]: name for name in reversed(known)}
    if near := get_close_matches(text.lower().strip(), ends_of, n=1):
        return UnknownName("order or measure", text, [ends_of[near[0]]])
    return UnknownName("order or measure", text, ["age", *JobOrder, *known])
