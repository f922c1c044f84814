"""What a prediction has scored so far: parts of a row of pictures, each whole or not there.

An attempt goes on where the parts before it end. One that was held up and has lost its lease may still
publish a part that overlaps another's: then the rows of one of them count, always the same, so that each
picture has one row whatever died.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from ad_platform.errors import CorruptBundle
from ad_platform.storage.contract import Storage
from ad_platform.storage.layout import drawn_prefix, part_prefix, parts_prefix

ROWS = "scores.jsonl"  # one line a picture, in order
_PART = re.compile(r"jobs/([^/]+)/parts/(\d{9,})-(\d{6,})")


@dataclass(frozen=True, kw_only=True)
class Part:
    """The scores of some pictures that follow each other."""

    job_id: str
    first: int
    count: int

    @property
    def end(self) -> int:
        """Return the number of the first picture behind it."""
        return self.first + self.count

    @property
    def prefix(self) -> str:
        """Return where its scores lie in the storage."""
        return part_prefix(self.job_id, self.first, self.count)

    @property
    def drawn(self) -> str:
        """Return where what was drawn of its pictures lies, if anything was."""
        return drawn_prefix(self.job_id, self.first, self.count)


@dataclass(frozen=True, kw_only=True)
class Use:
    """A part, and how many of its first rows another one has already given."""

    part: Part
    skip: int


def whole_parts(storage: Storage, job_ids: Iterable[str]) -> list[Part]:
    """Return the parts of these jobs that lie whole in the storage."""
    found = (_PART.fullmatch(prefix) for job in job_ids for prefix in storage.bundles(parts_prefix(job)))
    return [Part(job_id=match[1], first=int(match[2]), count=int(match[3])) for match in found if match]


def in_a_row(parts: Iterable[Part]) -> list[Use]:
    """Return the parts that follow each other from the first picture on, up to the first gap.

    Of several that begin at one picture the longest counts, and of equal ones always the same.
    """
    uses: list[Use] = []
    end = 0
    for part in sorted(parts, key=lambda part: (part.first, -part.count, part.job_id)):
        if part.first > end:
            break
        if part.end > end:
            uses.append(Use(part=part, skip=end - part.first))
            end = part.end
    return uses


def end_of(uses: Sequence[Use]) -> int:
    """Return the number of the first picture that has no row yet."""
    return uses[-1].part.end if uses else 0


def rows_of(storage: Storage, use: Use, scratch: Path) -> Iterator[bytes]:
    """Yield the lines of a part that count, without their ends; raise CorruptBundle, StorageDown.

    The part's file is copied into the folder `scratch`, and removed again.
    """
    part, file = use.part, scratch / ROWS
    storage.fetch(part.prefix, scratch)
    try:
        lines = file.read_bytes().splitlines()
    finally:
        file.unlink(missing_ok=True)
    if len(lines) != part.count:
        raise CorruptBundle(f"{part.prefix} is broken: {len(lines)} rows instead of {part.count}")
    yield from lines[use.skip :]


def drop_broken(storage: Storage, parts: Iterable[Part], scratch: Path) -> list[str]:
    """Remove the parts that are not what was published, so that their pictures are scored again.

    Returns a line for each: which, and what was wrong with it. Raises StorageDown.
    """
    broken: list[str] = []
    for part in parts:
        try:
            for _ in rows_of(storage, Use(part=part, skip=0), scratch):
                break  # all of them were read and counted before the first
        except CorruptBundle as error:
            broken.append(str(error))
            storage.remove(part.prefix)
    return broken
