"""Makes way for a schema that older workers cannot work with: they give back what they run, and leave."""

import json
import time
from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy import Connection, Double, select, text, type_coerce

from ad_migrations import steps
from ad_platform.errors import Conflict
from ad_platform.store.database import Backend
from ad_platform.store.engine import backend_of
from ad_platform.store.revision import HEAD, is_older, oldest_for

SILENCE = 30.0  # seconds after which a worker counts as gone
PATIENCE = 180.0  # seconds that workers have to give back and leave
FACT = "schema"  # the newest revision that a worker knows, among its facts


@dataclass(frozen=True, kw_only=True)
class Older:
    """A worker that is online and cannot work with what the store is about to be."""

    id: str
    node: str
    schema: str


def older_workers(url: str) -> list[Older]:
    """Return the online workers that cannot work with the newest schema; none where nothing will change."""
    found = steps.revision_of(url)
    if found is None or not is_older(found, HEAD):
        return []
    backend = backend_of(url)
    engine = backend.engine()
    try:
        with engine.connect() as connection:
            return _older(connection, backend, found)
    finally:
        engine.dispose()


def make_way(
    url: str,
    tell: Callable[[str], None],
    *,
    patience: float = PATIENCE,
    pause: Callable[[float], None] = time.sleep,
) -> list[Older]:
    """Have older workers leave before the schema changes, and return who they were.

    The store says first that it is for newer programs, so that none of them comes back. Nothing is done where
    the next schema is one that they can work with. Raises Conflict for those that have not left in time.
    """
    older = older_workers(url)
    if not older:
        return []
    names = ", ".join(f"{each.id} on {each.node}" for each in older)
    tell(f"the next schema is not for {len(older)} workers that are online ({names}): they are told to leave")
    with steps.alone(url) as connection:
        steps.note_readers(connection, oldest_for(HEAD))
        for each in older:
            connection.execute(
                text("UPDATE workers SET state = 'draining' WHERE id = :id AND state = 'online'"),
                {"id": each.id},
            )
    until = time.monotonic() + patience
    while left := older_workers(url):
        if time.monotonic() >= until:
            names = ", ".join(f"{each.id} on {each.node}" for each in left)
            raise Conflict(
                f"{names} did not leave in {patience:.0f} s: end them, or upgrade all the same, by --now: "
                "their jobs are taken back then, and count as failed once"
            )
        pause(1.0)
    return older


def _older(connection: Connection, backend: Backend, found: str) -> list[Older]:
    # By hand: the columns that this program knows need not be there yet.
    now = connection.execute(select(type_coerce(backend.clock(), Double))).scalar_one()
    rows = connection.execute(
        text("SELECT id, node, facts FROM workers WHERE state <> 'gone' AND seen_at > :since ORDER BY id"),
        {"since": now - SILENCE},
    ).all()
    # One that does not say what it knows has insisted on the schema that is there.
    known = [
        Older(id=row.id, node=row.node, schema=str(json.loads(row.facts).get(FACT, found))) for row in rows
    ]
    return [each for each in known if is_older(each.schema, oldest_for(HEAD))]
