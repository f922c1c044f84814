"""Names of things: the known one that a person meant, and new ones that are free."""

import re
from collections.abc import Collection, Iterable

from ad_platform.errors import InvalidRequest, InvalidValue, UnknownName


def match(what: str, name: str, known: Iterable[str]) -> str:
    """Return the known name: the very same, else the only one that differs by case alone.

    Raises UnknownName with the nearest names, and InvalidRequest where several differ by case alone.
    """
    names = list(known)
    if name in names:
        return name
    same = sorted({each for each in names if each.casefold() == name.casefold()})
    if len(same) > 1:
        raise InvalidRequest(f"'{name}' fits several: {', '.join(same)}; write the {what} in its own case")
    if not same:
        raise UnknownName(what, name, names)
    return same[0]


LAST = "@last"
_GIVEN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_LONGEST = 56  # characters before the number of a free name


def checked(what: str, name: str) -> str:
    """Return a name that a person gives to something; raise InvalidValue for what cannot be one."""
    if not _GIVEN.fullmatch(name) or name.lower() == LAST:
        raise InvalidValue(f"a {what}'s name is made of letters, digits and . _ -, not '{name}'")
    return name


def free(start: str, taken: Collection[str], otherwise: str) -> str:
    """Return the first name of a row that is not taken: ddad-screw-1, ddad-screw-2."""
    usual = re.sub(r"[^A-Za-z0-9._-]+", "-", start).strip("-._")[:_LONGEST] or otherwise
    number = 1
    while f"{usual}-{number}" in taken:
        number += 1
    return f"{usual}-{number}"
