"""How collections are asked for and told: lengths of time, what would go and why, what stays and why."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ad_cli import out, shapes
from ad_cli.tables import Column
from ad_platform.errors import InvalidValue

if TYPE_CHECKING:
    from ad_platform.retention.collecting import Collection, Outlook, Restored
    from ad_platform.retention.facts import Rules
    from ad_platform.retention.home import Loose
    from ad_platform.retention.plan import Judged
    from ad_platform.retention.trash import Entry
    from ad_platform.specs import Json

_LENGTH = re.compile(r"(\d{1,6}(?:\.\d{1,6})?) ?([smhdw])")
_SECONDS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}
_UNITS = ("B", "kB", "MB", "GB", "TB")


def seconds(option: str, text: str) -> float:
    """Read a length of time such as 30d; raise InvalidValue."""
    match = _LENGTH.fullmatch(text.strip().lower())
    if match is None:
        raise InvalidValue(f"{option} takes a length of time such as 12h, 30d or 8w, not '{text}'")
    return float(match[1]) * _SECONDS[match[2]]


def rules(older_than: str | None, keep_last: int, grace: str, resumable: str, trash: str) -> Rules:
    """Return the rules that options say; raise InvalidValue."""
    from ad_platform.retention.facts import Rules

    return Rules(
        older_than=None if older_than is None else seconds("--older-than", older_than),
        keep_last=keep_last,
        grace=seconds("--grace", grace),
        resumable=seconds("--resumable", resumable),
        trash=seconds("--trash", trash),
    )


def size(number: int) -> str:
    """Return bytes as people read them: 1.2 GB."""
    value, unit = float(number), 0
    while value >= 999.5 and unit < len(_UNITS) - 1:
        value, unit = value / 1000, unit + 1
    return f"{value:.0f} {_UNITS[unit]}" if unit == 0 or value >= 99.5 else f"{value:.1f} {_UNITS[unit]}"


@dataclass
class _Sum:
    number: int = 0
    size: int = 0
    because: str = ""


def show(outlook: Outlook) -> None:
    """Print what would be taken and what would stay, by kind, each with a reason as an example."""
    taken, kept = outlook.plan.taken, outlook.plan.kept
    rows = [*_rows("take", _sums(taken)), *_local_rows(outlook.local), *_rows("keep", _sums(kept))]
    columns = ("", "WHAT", "NUMBER", "SIZE", Column(name="SUCH AS", takes_rest=True))
    out.table(columns, rows, empty="there is nothing in the storage")


def summed_up(outlook: Outlook) -> str:
    """Say what would go, in a sentence."""
    taken = sum(each.unit.size for each in outlook.plan.taken)
    words = [f"{size(taken)} of the storage would go to the trash"] if taken else []
    if outlook.local:
        words.append(f"{size(sum(each.size for each in outlook.local))} of this machine's copies would go")
    if outlook.expired:
        gone = sum(entry.size for entry in outlook.expired)
        words.append(f"{size(gone)} that has lain in the trash for long would be removed")
    return "; ".join(words) or "nothing would go"


def told(done: Collection) -> str:
    """Say what went, in a sentence."""
    words = [f"{size(sum(entry.size for entry in done.thrown))} went to the trash"] if done.thrown else []
    if done.local:
        words.append(f"{size(sum(each.size for each in done.local))} of this machine's copies were removed")
    if done.purged:
        words.append(f"{size(sum(entry.size for entry in done.purged))} of the trash was removed for good")
    if done.spared:
        words.append(f"{len(done.spared)} spared: needed by the time their turn came")
    return "; ".join(words) or "there was nothing to take: all that is there is needed"


def _sums(judged: Iterable[Judged]) -> dict[str, _Sum]:
    sums: dict[str, _Sum] = defaultdict(_Sum)
    for each in judged:
        one = sums[each.unit.kind.value]
        one.number, one.size = one.number + 1, one.size + each.unit.size
        one.because = one.because or each.because[0]
    return sums


def _rows(what: str, sums: dict[str, _Sum]) -> list[tuple[str, ...]]:
    ordered = sorted(sums.items(), key=lambda each: -each[1].size)
    return [(what, kind, str(one.number), size(one.size), one.because) for kind, one in ordered]


def _local_rows(local: Sequence[Loose]) -> list[tuple[str, ...]]:
    sums: dict[str, _Sum] = defaultdict(_Sum)
    for each in local:
        one = sums[f"{each.kind}, here"]
        one.number, one.size = one.number + 1, one.size + each.size
        one.because = one.because or each.because
    return _rows("take", sums)


def explain(judged: Sequence[Judged]) -> None:
    """Print why each of these stays or would go, down to the root of the reason."""
    for each in judged:
        what = "stays" if each.kept else "would go"
        out.text(f"{each.unit.prefix}  {each.unit.kind}  {size(each.unit.size)}  {what}")
        for words in each.because:
            out.text(f"  because {words}")


def judged_json(each: Judged) -> Json:
    """Return something in the storage as JSON."""
    return {
        "path": each.unit.prefix,
        "kind": each.unit.kind.value,
        "place": each.unit.place,
        "job": each.unit.job_id,
        "files": len(each.unit.files),
        "size": each.unit.size,
        "modified": each.unit.modified,
        "kept": each.kept,
        "because": list(each.because),
    }


def outlook_json(outlook: Outlook, *, dry_run: bool) -> dict[str, Json]:
    """Return what a collection goes by as JSON."""
    taken, kept = outlook.plan.taken, outlook.plan.kept
    return {
        "dry_run": dry_run,
        "taken": [judged_json(each) for each in taken],
        "kept": [judged_json(each) for each in kept],
        "local": [
            {"path": str(each.path), "kind": each.kind, "size": each.size, "because": each.because}
            for each in outlook.local
        ],
        "expired": [entry_json(entry) for entry in outlook.expired],
        "bytes": {
            "taken": sum(each.unit.size for each in taken),
            "kept": sum(each.unit.size for each in kept),
            "local": sum(each.size for each in outlook.local),
            "expired": sum(entry.size for entry in outlook.expired),
            "trash": outlook.trashed,
        },
    }


def collection_json(done: Collection) -> Json:
    """Return what a collection did as JSON."""
    return {
        **outlook_json(done.outlook, dry_run=False),
        "thrown": [entry_json(entry) for entry in done.thrown],
        "spared": list(done.spared),
        "purged": [entry_json(entry) for entry in done.purged],
    }


def entry_json(entry: Entry) -> Json:
    """Return an entry of the trash as JSON."""
    return {
        "entry": entry.name,
        "place": entry.place,
        "at": entry.at,
        "user": entry.user,
        "size": entry.size,
        "files": [
            {"path": each.prefix, "kind": each.kind, "size": each.size, "because": each.because}
            for each in entry.thrown
        ],
    }


def show_trash(entries: Sequence[Entry]) -> None:
    """Print what lies in the trash, newest first."""
    rows = [
        (entry.place, shapes.ago(entry.at), entry.user, size(entry.size), _held(entry))
        for entry in reversed(entries)
    ]
    columns = ("WHAT", "AGE", "BY", "SIZE", Column(name="HOLDS", takes_rest=True))
    out.table(columns, rows, empty="the trash is empty")


def _held(entry: Entry) -> str:
    counts: dict[str, int] = defaultdict(int)
    for each in entry.thrown:
        counts[each.kind] += 1
    return ", ".join(f"{number} {kind}" if number > 1 else kind for kind, number in counts.items())


def show_restored(restored: Restored) -> None:
    """Say what came back."""
    for entry in restored.entries:
        out.text(entry.place)
    for prefix in restored.stands:
        out.warn(f"{prefix} was made anew since, and stays as it is")
    back = sum(entry.size for entry in restored.entries)
    out.note(f"{size(back)} came back, to stay for 30 days at least" if back else "nothing lies in the trash")
