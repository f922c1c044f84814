"""The right of one process at a time to take something further: held for a while, and lost by itself."""

from typing import Any

from sqlalchemy import ColumnElement, Row, Table, or_, select, update

from ad_platform.errors import AmbiguousId, ClaimLost, UnknownName
from ad_platform.store.database import Transaction


def claim(tx: Transaction, table: Table, row_id: str, owner: str, seconds: float) -> bool:
    """Take the right to a row for a while; False if somebody else holds it."""
    free = or_(table.c.owner == owner, table.c.owned_until <= tx.now)
    taken = update(table).where(table.c.id == row_id, free)
    return tx.run(taken.values(owner=owner, owned_until=tx.now + seconds)).rowcount == 1


def prolong(tx: Transaction, table: Table, row_id: str, owner: str, seconds: float) -> bool:
    """Hold a row for longer that nobody else has held since; False if somebody has, and be it gone again."""
    mine = update(table).where(table.c.id == row_id, table.c.owner == owner)
    return tx.run(mine.values(owned_until=tx.now + seconds)).rowcount == 1


def release(tx: Transaction, table: Table, row_id: str, owner: str) -> None:
    """Give the right back, if still held."""
    mine = (table.c.id == row_id, table.c.owner == owner)
    tx.run(update(table).where(*mine).values(owner=None, owned_until=0.0))


def hold(tx: Transaction, table: Table, row_id: str, owner: str, what: str) -> None:
    """Lock a row that this owner has the right to; raise ClaimLost."""
    held: tuple[ColumnElement[bool], ...] = (
        table.c.id == row_id,
        table.c.owner == owner,
        table.c.owned_until > tx.now,
    )
    if tx.first(select(table.c.id).where(*held).with_for_update()) is None:
        raise ClaimLost(row_id, owner, what)


def find(tx: Transaction, table: Table, text: str, what: str) -> Row[Any]:
    """Return a row by its name or id, in any case, or by how its id begins.

    Raises UnknownName with the names that come near, AmbiguousId where several begin so.
    """
    row = tx.first(select(table).where(or_(table.c.name == text, table.c.id == text)))
    if row is not None:
        return row
    ids = tx.rows(select(table.c.id, table.c.name).order_by(table.c.created_at.desc()))
    wanted = text.casefold()
    found = [each for each in ids if each.name.casefold() == wanted] or [
        each for each in ids if wanted and each.id.startswith(wanted)
    ]
    if len(found) > 1:
        raise AmbiguousId(text, [each.name for each in found], f"{what}s")
    if not found:
        raise UnknownName(what, text, [each.name for each in ids])
    return tx.rows(select(table).where(table.c.id == found[0].id))[0]
