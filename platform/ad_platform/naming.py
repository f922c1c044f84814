"""Finds the known name that a person meant, in whatever case it was written."""

from collections.abc import Iterable

from ad_platform.errors import InvalidRequest, UnknownName


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
