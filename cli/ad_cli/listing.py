"""How `adctl list` finds, sorts and lays out jobs."""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from difflib import get_close_matches
from typing import TYPE_CHECKING, Unpack

from ad_cli import shapes
from ad_cli.tables import Column, cut
from ad_platform.errors import InvalidValue, UnknownName
from ad_platform.states import JobState

if TYPE_CHECKING:
    from collections.abc import Callable

    from ad_platform.client import Client
    from ad_platform.records import Job
    from ad_platform.requests import JobFilter

PAGE = 500  # jobs of one look at the store
SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
STATES = list(JobState)
# What a list can be sorted by, beside any measure a job has ended with.
SORTS: dict[str, Callable[[Job], tuple[str | int, ...]]] = {
    "state": lambda job: (STATES.index(job.state),),
    "kind": lambda job: (job.kind.value,),
    "detector": lambda job: (job.spec.detector,),
    "data": lambda job: (job.spec.dataset.dataset, job.spec.dataset.category),
    "name": lambda job: (not job.name, job.name.lower()),
    "user": lambda job: (job.user,),
}


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
    if wanted.sort.lower() == "age":
        found = _newest(client, wanted, wanted.limit + 1, oldest_first=wanted.reverse)
        return Listed(jobs=tuple(found[: wanted.limit]), more=len(found) > wanted.limit)
    found = _newest(client, wanted, None)
    by = SORTS.get(wanted.sort.lower())
    if by is not None:
        ordered, measure = sorted(found, key=by, reverse=wanted.reverse), ""
    else:
        measure = _measure(wanted.sort, found)
        ordered = _by_measure(found, measure, best_last=wanted.reverse)
    return Listed(jobs=tuple(ordered[: wanted.limit]), more=len(ordered) > wanted.limit, measure=measure)


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


def _newest(client: Client, wanted: Wanted, most: int | None, *, oldest_first: bool = False) -> list[Job]:
    """Return the jobs that fit, page by page: the store knows no time of submission to search by."""
    if wanted.since is None and most is not None:
        return client.jobs(**_with(wanted, limit=most, oldest_first=oldest_first))
    found: list[Job] = []
    before: int | None = None
    while most is None or oldest_first or len(found) < most:
        page = client.jobs(**_with(wanted, limit=PAGE, before_seq=before))
        young = [job for job in page if wanted.since is None or job.created_at >= wanted.since]
        found += young
        if len(page) < PAGE or len(young) < len(page):
            break
        before = page[-1].seq
    return found[::-1][:most] if oldest_first else found[:most]


def _with(wanted: Wanted, **more: Unpack[JobFilter]) -> JobFilter:
    """Return the filter of a list with more to it."""
    whole = wanted.filter.copy()
    whole.update(more)
    return whole


def _measure(text: str, jobs: Sequence[Job]) -> str:
    """Return the measure that a name stands for: whole, or without what stands before its slash."""
    known = sorted({name for job in jobs for name in shapes.result_metrics(job)})
    typed = text.lower().strip()
    exact = [name for name in known if name.lower() == typed]
    ends = [name for name in known if name.lower().rpartition("/")[2] == typed]
    tests_first = sorted(ends, key=lambda name: (not name.startswith("test/"), name))
    if found := exact or tests_first:
        return found[0]
    ends_of = {name.rpartition("/")[2]: name for name in reversed(known)}
    if near := get_close_matches(typed, ends_of, n=1):
        raise UnknownName("order or measure", text, [ends_of[near[0]]])
    raise UnknownName("order or measure", text, ["age", *SORTS, *known])


def _by_measure(jobs: Sequence[Job], measure: str, *, best_last: bool) -> list[Job]:
    """Return jobs with the highest first; those without the measure come last either way."""
    values = {job.id: shapes.result_metrics(job).get(measure) for job in jobs}
    having = [job for job in jobs if values[job.id] is not None]
    ordered = sorted(having, key=lambda job: values[job.id] or 0.0, reverse=not best_last)
    return ordered + [job for job in jobs if values[job.id] is None]
