"""What has to be copied to where, before anything is."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ad_detectors.errors import DataError

NAMED = 3  # of many missing files


@dataclass(frozen=True)
class Item:
    """One file to bring."""

    source: Path
    name: str  # below the category's folder, with forward slashes
    mask: bool = False  # becomes a PNG of 0 and 255
    coded: bool = False  # a mask of class numbers: what counts is the value, not the colour it is shown in


@dataclass(frozen=True)
class Plan:
    """One category to make."""

    category: str
    items: tuple[Item, ...]


def chosen(known: list[str], there: list[str], only: tuple[str, ...], source: Path) -> list[str]:
    """Return the categories to make: those asked for, else all that were published; none may be missing."""
    for name in only:
        if name not in there:
            raise DataError(f"{source} has no category '{name}'; there are: {', '.join(there) or 'none'}")
    missing = [name for name in known if name not in there]
    if missing and not only:
        raise DataError(
            f"{source} lacks {', '.join(missing)}; fetch them, or name what to take: --category NAME"
        )
    return [name for name in there if not only or name in only]


def all_there(plans: list[Plan], source: Path) -> list[Plan]:
    """Return the plans; raise DataError that says which of their files are missing."""
    missing = [item.source for plan in plans for item in plan.items if not item.source.is_file()]
    if missing:
        shown = ", ".join(str(path.relative_to(source)) for path in missing[:NAMED])
        more = f" and {len(missing) - NAMED} more" if len(missing) > NAMED else ""
        raise DataError(
            f"{source} lacks {shown}{more}; unpack it again, or leave a category out: --category NAME"
        )
    return plans
