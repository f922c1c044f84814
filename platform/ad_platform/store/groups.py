"""Which sweeps or benchmarks a search keeps: the newest first, page by page."""

import json
from typing import Any, Unpack

from sqlalchemy import ColumnElement, Select, Table, Text, and_, func, or_, select, type_coerce

from ad_platform.requests import GroupFilter


def statement(of: Table, **wanted: Unpack[GroupFilter]) -> Select[Any]:
    """Return the query of the rows that may fit, newest first unless told otherwise.

    A detector, dataset and category are looked for as text in the spec, so that most others need not be read:
    whoever asks looks again at what the spec says.
    """
    found: list[ColumnElement[bool]] = []
    if (user := wanted.get("user")) is not None:
        found.append(of.c.user == user)
    if (since := wanted.get("since")) is not None:
        found.append(of.c.created_at >= since)
    spec = func.lower(type_coerce(of.c.spec, Text))
    for name in ("detector", "dataset", "category"):
        if isinstance(text := wanted.get(name), str) and text.isascii():  # SQLite lowers no other letters
            found.append(spec.contains(f'"{name}":{json.dumps(text.lower())}', autoescape=True))
    oldest_first = bool(wanted.get("oldest_first"))
    if (beyond := wanted.get("beyond")) is not None:
        found.append(_beyond(of, *beyond, oldest_first=oldest_first))
    order = (of.c.created_at.desc(), of.c.name.asc())
    if oldest_first:
        order = (of.c.created_at.asc(), of.c.name.desc())
    return select(of).where(*found).order_by(*order).limit(wanted.get("limit", 100))


def _beyond(of: Table, at: float, name: str, *, oldest_first: bool) -> ColumnElement[bool]:
    """Return the condition of what comes after a row that was submitted at a time and has a name."""
    if oldest_first:
        return and_(of.c.created_at >= at, or_(of.c.created_at > at, of.c.name < name))
    return and_(of.c.created_at <= at, or_(of.c.created_at < at, of.c.name > name))
