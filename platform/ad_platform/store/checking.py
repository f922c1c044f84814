"""Whether a row that a search has come to fits the other filters: conditions that no index is looked for by.

A database that saw a plain comparison could choose its index instead of the one to be walked, so columns are
compared with something empty added to them.
"""

import json

from sqlalchemy import (
    ColumnElement,
    FromClause,
    Text,
    func,
    literal_column,
    not_,
    select,
    type_coerce,
)

from ad_platform.requests import JobFilter
from ad_platform.states import JobKind
from ad_platform.store.facets import LONGEST, facets, kept, lower, measures, tags
from ad_platform.store.tables import jobs

Condition = ColumnElement[bool]

DAY = 86400.0  # seconds by which a clock may have been set back while jobs were submitted
_NONE = 2**62  # beyond every seq


def checks(
    of: FromClause, wanted: JobFilter, checked: frozenset[str], seq: ColumnElement[int] | None = None
) -> list[Condition]:
    """Return what a row of a table with a seq has to fit, but for filters that are taken care of.

    `seq` stands for the seq where the walk has it under another name.
    """
    found = _range(of.c.seq if seq is None else seq, wanted)
    for table, conditions in ((facets, _of_facets(wanted, checked)), (jobs, _of_jobs(wanted, checked))):
        if of is table:
            found += conditions
        elif conditions:
            found.append(_there(of, table.c.seq == of.c.seq, *conditions))
    for name, value in (wanted.get("tags") or {}).items():
        if f"tag:{name}" not in checked:
            found.append(_tagged(of, name, value))
    return found


def lacks(of: FromClause, measure: str) -> Condition:
    """Return the condition that a job has not measured something."""
    own = measures.alias("own")
    same = (own.c.name == kept(measure), own.c.kind.in_(list(JobKind)), own.c.seq == of.c.seq)
    return not_(_there(of, *same))


def like(of: FromClause, pattern: str) -> Condition:
    """Return the condition that a name is like a pattern, as far as it is kept."""
    return of.c.name.like(_pattern(pattern), escape="/")


def _pattern(pattern: str) -> str:
    escaped = kept_whole(pattern.lower()).replace("/", "//").replace("%", "/%").replace("_", "/_")
    return escaped.replace("*", "%")


def kept_whole(text: str) -> str:
    """Return a text as a database takes it."""
    return text.replace("\0", "").encode("utf-8", "replace").decode()


def _range(seq: ColumnElement[int], wanted: JobFilter) -> list[Condition]:
    found = []
    if (before := wanted.get("before_seq")) is not None:
        found.append(seq < before)
    if (since := wanted.get("since")) is not None:
        found.append(seq >= _first_since(since))
    return found


def _first_since(since: float) -> ColumnElement[int]:
    """Return the first seq of the jobs submitted since a time; that of a day, lest a clock was set back."""
    dated = facets.alias("dated")
    young = dated.c.created_at >= since
    of_day = select(func.min(dated.c.place)).where(young, dated.c.created_at < since + DAY)
    later = select(dated.c.place).where(young).order_by(dated.c.created_at).limit(1)
    return func.coalesce(of_day.scalar_subquery(), later.scalar_subquery(), _NONE)


def _of_facets(wanted: JobFilter, checked: frozenset[str]) -> list[Condition]:
    found: list[Condition] = []
    for name, cut in (
        ("detector", lower),
        ("dataset", lower),
        ("category", lower),
        ("user", kept),
        ("group", kept),
        ("queue", kept),
    ):
        text = wanted.get(name)
        if isinstance(text, str) and name not in checked:
            found.append(facets.c[name].concat("") == cut(text))
    kind, since = wanted.get("kind"), wanted.get("since")
    if kind is not None and "kind" not in checked:
        found.append(facets.c.kind.concat("") == kind.value)
    if wanted.get("without_sweeps") and "without_sweeps" not in checked:
        found.append(facets.c.owned.is_(False))
    called = wanted.get("name")
    if called is not None and "name" not in checked:
        exact = facets.c.name.concat("") == lower(called)
        found.append(like(facets, called) if "*" in called else exact)
    if since is not None:
        found.append(facets.c.created_at + 0.0 >= since)
    return found


def _of_jobs(wanted: JobFilter, checked: frozenset[str]) -> list[Condition]:
    found: list[Condition] = []
    states, worker = wanted.get("states"), wanted.get("worker")
    if states and "states" not in checked:
        found.append(type_coerce(jobs.c.state, Text).concat("").in_([state.value for state in states]))
    if worker is not None and "worker" not in checked:
        found.append(jobs.c.worker.concat("") == worker)
    for name in ("user", "group", "queue"):
        text = wanted.get(name)
        if isinstance(text, str) and len(text) >= LONGEST:  # the facets have only its beginning
            found.append(jobs.c[name].concat("") == text)
    for tag, value in (wanted.get("tags") or {}).items():
        if value is not None and len(value) >= LONGEST:
            piece = f"{json.dumps(tag)}:{json.dumps(value)}"
            found.append(type_coerce(jobs.c.tags, Text).contains(piece, autoescape=True))
    called = wanted.get("name")
    if called is not None and "*" not in called and len(called) >= LONGEST:
        found.append(func.lower(jobs.c.name) == called.lower())
    return found


def _tagged(of: FromClause, name: str, value: str | None) -> Condition:
    own = tags.alias("own")
    same = [own.c.name == kept(name), own.c.seq == of.c.seq]
    if value is not None:
        same.append(own.c.value.concat("") == kept(value))
    return _there(of, *same)


def _there(of: FromClause, *conditions: Condition) -> Condition:
    """Return the condition that there is such a row beside one of a table.

    Not with EXISTS, which PostgreSQL may turn round into a walk along what is only to be looked up.
    """
    return (
        select(literal_column("1")).where(*conditions).correlate(of).limit(1).scalar_subquery().is_not(None)
    )
