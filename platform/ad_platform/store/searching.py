"""Which jobs a search keeps, as statements that end early, however many jobs there are.

A search walks the index of the filter that usually keeps the fewest jobs (`walking`), newest first, and
checks the other filters row by row (`checking`). An index that is walked for several values is walked for
each by itself, and the walks are merged.
"""

from collections.abc import Callable, Generator, Sequence
from functools import partial
from typing import Any, Unpack

from sqlalchemy import ColumnElement, FromClause, Select, func, select, union_all

from ad_platform.requests import JobFilter, JobOrder
from ad_platform.states import JobKind, JobState
from ad_platform.store.checking import checks, lacks
from ad_platform.store.facets import facets, kept, measures
from ad_platform.store.tables import jobs
from ad_platform.store.walking import Walk, walk_of

LIMIT = 100  # unless a search says another
LOOKED_AT = 2000  # of the highest values, before all that fit are sorted

_STATES, _KINDS = tuple(JobState), tuple(sorted(JobKind))
_COLUMNS = {
    JobOrder.DETECTOR: ("detector",),
    JobOrder.DATA: ("dataset", "category"),
    JobOrder.USER: ("user",),
    JobOrder.NAME: ("name",),
}
_RANGE = ("before_seq", "oldest_first")
Part = Callable[[int], Select[Any]]  # a query of at most so many jobs


def statements(wanted: JobFilter) -> Generator[Part, int, None]:
    """Yield the queries that give the jobs of a search one after the other; sent how many each has found."""
    order, measure, reverse = wanted.get("sort"), wanted.get("measure"), bool(wanted.get("reverse"))
    if measure is not None:
        found = 0
        if not walk_of(wanted).few:
            found = yield partial(_best, measure, reverse, wanted)
        yield partial(_measured, measure, reverse, wanted, found)
        yield lambda limit: _by_age(walk_of(wanted), _with(wanted, limit=limit), measure)
    elif order is JobOrder.STATE:
        asked = wanted.get("states") or _STATES
        states = [state for state in _STATES if state in asked]
        for state in reversed(states) if reverse else states:
            yield partial(_of_state, wanted, state)
    elif order is JobOrder.KIND:
        kinds = [kind for kind in _KINDS if wanted.get("kind") in (None, kind)]
        for kind in reversed(kinds) if reverse else kinds:
            yield partial(_of_kind, wanted, kind)
    elif order is JobOrder.NAME:
        for named in (False, True) if reverse else (True, False):
            yield partial(_sorted_by, _COLUMNS[order], reverse, wanted, named)
    elif order is not None:
        yield partial(_sorted_by, _COLUMNS[order], reverse, wanted, None)
    elif walk_of(wanted).in_order or walk_of(wanted).few:
        yield lambda limit: _by_age(walk_of(wanted), _with(wanted, limit=limit))
    else:
        found = yield partial(_newest, wanted)
        yield lambda limit: _by_age(walk_of(wanted), _with(wanted, limit=limit), past=found)


def _of_state(wanted: JobFilter, state: JobState, limit: int) -> Select[Any]:
    one = _with(wanted, states=[state], limit=limit)
    return _by_age(walk_of(one), one)


def _of_kind(wanted: JobFilter, kind: JobKind, limit: int) -> Select[Any]:
    one = _with(wanted, kind=kind, limit=limit)
    return _by_age(walk_of(one), one)


def _with(wanted: JobFilter, **more: Unpack[JobFilter]) -> JobFilter:
    whole = wanted.copy()
    whole.update(more)
    return whole


def _sorted_by(
    columns: Sequence[str], reverse: bool, wanted: JobFilter, named: bool | None, limit: int
) -> Select[Any]:
    """Return the query of the jobs that fit, sorted by columns of the facets; of equal ones the newest first.

    `named` keeps those with a name, or without one.
    """
    walk = walk_of(wanted)
    inside: list[ColumnElement[bool]] = []
    checked: frozenset[str] = frozenset()
    if walk.of is facets and walk.lead is not None:
        inside, checked = [walk.lead], walk.checked - {"kind", "without_sweeps"}
    elif walk.narrows:
        inside, checked = [facets.c.seq.in_(_all(walk, wanted))], walk.checked
    keys = [facets.c[name].desc() if reverse else facets.c[name].asc() for name in columns]
    order = (*keys, facets.c.seq.desc())
    if named is not None:
        inside.append(facets.c.name > "" if named else facets.c.name == "")
    found = select(facets.c.seq).where(*inside, *checks(facets, wanted, checked)).order_by(*order)
    first = found.limit(limit).subquery("first")
    whole = select(jobs).join(first, first.c.seq == jobs.c.seq).join(facets, facets.c.seq == jobs.c.seq)
    return whole.order_by(*order)


def _best(name: str, lowest_first: bool, wanted: JobFilter, limit: int) -> Select[Any]:
    """Return the query of the jobs that fit among the first by what they measured, the highest first.

    Usually these are enough; where they are not, `_measured` finds all.
    """
    kind = wanted.get("kind")
    order = _by_value(measures, lowest_first)
    parts = [
        select(measures.c.seq, measures.c.value)
        .where(measures.c.name == kept(name), measures.c.kind == one)
        .order_by(*order)
        .limit(LOOKED_AT)
        for one in (_KINDS if kind is None else (kind,))
    ]
    merged = _merged(parts).subquery("merged")
    best = select(merged).order_by(*_by_value(merged, lowest_first)).limit(LOOKED_AT).subquery("best")
    fitting = select(best).where(*checks(best, wanted, frozenset({"kind"})))
    return _whole(fitting.order_by(*_by_value(best, lowest_first)).limit(limit), lowest_first)


def _measured(name: str, lowest_first: bool, wanted: JobFilter, past: int, limit: int) -> Select[Any]:
    """Return the query of the jobs that fit and have measured something, but for the first."""
    walk, kind = walk_of(wanted), wanted.get("kind")
    found = select(measures.c.seq, measures.c.value).where(
        measures.c.name == kept(name), measures.c.kind.in_(_KINDS if kind is None else (kind,))
    )
    if walk.narrows and not walk.most:
        found = found.where(measures.c.seq.in_(_all(walk, wanted)))
    else:
        found = found.where(*checks(measures, wanted, frozenset({"kind"})))
    # Not along the index of values, which leads past all of them: those that fit are looked up and sorted.
    value = measures.c.value + 0.0
    order = (value.asc() if lowest_first else value.desc(), measures.c.seq.desc())
    return _whole(found.order_by(*order).limit(limit).offset(past), lowest_first)


def _by_value(of: FromClause, lowest_first: bool) -> tuple[ColumnElement[Any], ...]:
    return (of.c.value.asc() if lowest_first else of.c.value.desc(), of.c.seq.desc())


def _whole(found: Select[Any], lowest_first: bool) -> Select[Any]:
    first = found.subquery("first")
    whole = select(jobs).join(first, first.c.seq == jobs.c.seq)
    return whole.order_by(*_by_value(first, lowest_first))


def names_of_measures() -> Select[Any]:
    """Return the query of the names of all measures: a step of an index for each, however many rows."""
    names = select(func.min(measures.c.name).label("name")).cte("names", recursive=True)
    later = measures.alias("later")
    following = select(func.min(later.c.name)).where(later.c.name > names.c.name).scalar_subquery()
    every = names.union_all(select(following).where(names.c.name.is_not(None)))
    return select(every.c.name).where(every.c.name.is_not(None))


def _newest(wanted: JobFilter, limit: int) -> Select[Any]:
    """Return the query of the jobs that fit among the newest, or oldest: usually these are enough."""
    everything: JobFilter = {name: wanted[name] for name in _RANGE if name in wanted}  # type: ignore
    (every,) = _parts(walk_of(everything), everything, ordered=True)
    near = every.limit(LOOKED_AT).subquery("near")
    fitting = select(near.c.seq).where(*checks(near, wanted, frozenset()))
    oldest_first = bool(wanted.get("oldest_first"))
    first = fitting.order_by(_aged(near.c.seq, oldest_first)).limit(limit).subquery("first")
    whole = select(jobs).join(first, first.c.seq == jobs.c.seq)
    return whole.order_by(_aged(jobs.c.seq, oldest_first))


def _by_age(walk: Walk, wanted: JobFilter, lacking: str | None = None, past: int = 0) -> Select[Any]:
    """Return the query of the jobs that fit by their age, but for the first."""
    limit, oldest_first = wanted.get("limit", LIMIT), bool(wanted.get("oldest_first"))
    parts = [part.limit(limit + past) for part in _parts(walk, wanted, ordered=True, lacking=lacking)]
    found = _merged(parts).subquery("found")
    ordered = select(found.c.seq).order_by(_aged(found.c.seq, oldest_first))
    first = ordered.limit(limit).offset(past).subquery("first")
    whole = select(jobs).join(first, first.c.seq == jobs.c.seq)
    return whole.order_by(_aged(jobs.c.seq, oldest_first))


def _aged(seq: ColumnElement[int], oldest_first: bool) -> ColumnElement[int]:
    return seq.asc() if oldest_first else seq.desc()


def _all(walk: Walk, wanted: JobFilter) -> Select[Any]:
    found = _merged(_parts(walk, wanted, ordered=False)).subquery("taken")
    return select(found.c.seq)


def _parts(walk: Walk, wanted: JobFilter, *, ordered: bool, lacking: str | None = None) -> list[Select[Any]]:
    """Return for each branch of a walk the query of the seqs that fit."""
    of = walk.of
    fits = checks(of, wanted, walk.checked, walk.seq)
    if lacking is not None:
        fits.append(lacks(of, lacking))
    seq = walk.seq if walk.in_order else of.c.seq + 0
    found = [select(of.c.seq.label("seq")).where(*branch, *fits) for branch in walk.branches]
    if not ordered:
        return found
    return [part.order_by(seq.asc() if wanted.get("oldest_first") else seq.desc()) for part in found]


def _merged(parts: Sequence[Select[Any]]) -> Any:
    if len(parts) == 1:
        return parts[0]
    # Each in brackets of its own, since SQLite takes no order and limit inside a union.
    return union_all(*(select(part.subquery(f"part{n}")) for n, part in enumerate(parts)))
