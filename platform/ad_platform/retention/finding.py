"""Finds what a person names: a job by how its id begins, a path in the storage, an entry of the trash."""

from __future__ import annotations

from collections.abc import Sequence

from ad_platform.errors import AmbiguousId, UnknownName
from ad_platform.retention.plan import Judged
from ad_platform.retention.trash import Entry
from ad_platform.storage.layout import BLOBS, SETS

_SHOWN = 20  # names in an error


def wanted(entries: Sequence[Entry], texts: Sequence[str], marked: Sequence[str] = ()) -> list[Entry]:
    """Return the entries that these name, all where nothing is named; raise UnknownName, AmbiguousId.

    A text may also name one of the `marked` places, of which a dead collection has taken nothing yet.
    """
    if not texts:
        return list(entries)
    found: dict[str, Entry] = {}
    for text in texts:
        fitting = [
            entry
            for entry in entries
            if text == entry.name or _fits(text, entry.place, [each.prefix for each in entry.thrown])
        ]
        places = [entry.place for entry in fitting]
        places += [place for place in marked if _fits(text, place, [])]
        _one_place(text, places, [*(entry.place for entry in entries), *marked])
        found |= {entry.name: entry for entry in fitting}
    return list(found.values())


def with_files(entries: Sequence[Entry], found: Sequence[Entry]) -> list[Entry]:
    """Return the entries that hold files of pushed sets, where some of these are among what was found."""
    sets = any(entry.place.startswith(SETS) for entry in found)
    return [entry for entry in entries if sets and entry.place == BLOBS and entry not in found]


def matching(judged: Sequence[Judged], text: str) -> list[Judged]:
    """Return what of the storage a text names; raise UnknownName, AmbiguousId."""
    fitting = [
        each
        for each in judged
        if _fits(text, each.unit.place, [each.unit.prefix])
        or any(file.path == text.strip("/") for file in each.unit.files)
    ]
    _one_place(text, [each.unit.place for each in fitting], [each.unit.place for each in judged])
    return fitting


def _fits(text: str, place: str, prefixes: Sequence[str]) -> bool:
    wanted = text.strip().strip("/")
    name = place.partition("/")[2]
    if "/" in wanted:
        return any(f"{each}/".startswith(f"{wanted}/") for each in (place, *prefixes))
    return bool(wanted) and name.startswith(wanted.lower())


def _one_place(text: str, places: Sequence[str], known: Sequence[str]) -> None:
    """Raise unless a text that is no path names one thing."""
    distinct = list(dict.fromkeys(places))
    if not distinct:
        raise UnknownName("job, path or entry", text, list(dict.fromkeys(known))[:_SHOWN])
    if len(distinct) > 1 and "/" not in text:
        raise AmbiguousId(text, distinct[:_SHOWN], "places")
