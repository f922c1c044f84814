"""Which jobs a search keeps: each filter as a condition that both databases can check."""

import json
from typing import Any, Unpack

from sqlalchemy import ColumnElement, Select, Text, func, or_, select, type_coerce

from ad_platform.requests import JobFilter
from ad_platform.store.tables import edges, jobs

_KEYS_OF_SWEEPS = (
    "sweep/",
    "stage/",
)  # how the submit keys of trials, and of the trainings they share, begin
_TAG_OF_BENCHMARKS = "benchmark"


def statement(**wanted: Unpack[JobFilter]) -> Select[Any]:
    """Return the query of the jobs that fit, newest first unless told otherwise."""
    order = jobs.c.seq.asc() if wanted.get("oldest_first") else jobs.c.seq.desc()
    return select(jobs).where(*_conditions(wanted)).order_by(order).limit(wanted.get("limit", 100))


def _conditions(wanted: JobFilter) -> list[ColumnElement[bool]]:
    found: list[ColumnElement[bool]] = []
    if states := wanted.get("states"):
        found.append(jobs.c.state.in_(states))
    exact = {
        "kind": wanted.get("kind"),
        "user": wanted.get("user"),
        "group": wanted.get("group"),
        "queue": wanted.get("queue"),
        "worker": wanted.get("worker"),
    }
    found.extend(jobs.c[column] == value for column, value in exact.items() if value is not None)
    if (name := wanted.get("name")) is not None:
        found.append(_like(jobs.c.name, name))
    if (detector := wanted.get("detector")) is not None:
        found.append(func.lower(jobs.c.detector) == detector.lower())
    found.extend(_of_data(wanted.get("dataset"), wanted.get("category")))
    found.extend(_tagged(tag, value) for tag, value in (wanted.get("tags") or {}).items())
    if (needed := wanted.get("needs")) is not None:
        found.append(jobs.c.id.in_(select(edges.c.job_id).where(edges.c.need_id == needed)))
    if wanted.get("without_sweeps"):
        theirs = or_(*(jobs.c.key.startswith(start) for start in _KEYS_OF_SWEEPS))
        found.append(or_(jobs.c.key.is_(None), ~theirs))
        found.append(~_tagged(_TAG_OF_BENCHMARKS, None))  # a retry has a key like any other's
    if (seq := wanted.get("before_seq")) is not None:
        found.append(jobs.c.seq < seq)
    return found


def _like(column: ColumnElement[str], pattern: str) -> ColumnElement[bool]:
    escaped = pattern.replace("/", "//").replace("%", "/%").replace("_", "/_")
    return column.like(escaped.replace("*", "%"), escape="/")


# A spec and the tags are JSON as text. It is searched as text, since reading it as JSON inside the database
# fails on the one row with a NaN or a NUL in it. A quote inside a string stands there with a backslash, so
# these pieces, quotes and all, can be nothing but the names and values that they look like.


def _of_data(dataset: str | None, category: str | None) -> list[ColumnElement[bool]]:
    spec = func.lower(type_coerce(jobs.c.spec, Text))
    found = []
    if dataset is not None:
        found.append(f'"dataset":{{"dataset":{json.dumps(dataset)},"category":')
    if category is not None:
        found.append(f',"category":{json.dumps(category)},"fingerprint":')
    return [spec.contains(piece.lower(), autoescape=True) for piece in found]


def _tagged(tag: str, value: str | None) -> ColumnElement[bool]:
    piece = f"{json.dumps(tag)}:" + ("" if value is None else json.dumps(value))
    tags = type_coerce(jobs.c.tags, Text)
    return or_(tags.startswith(f"{{{piece}", autoescape=True), tags.contains(f",{piece}", autoescape=True))
