"""The folders that pictures are read from: a path, a link or a job's spec must not lead out of them."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from ad_platform.errors import InvalidData

VARIABLE = "ADCTL_DATA_ROOTS"


@dataclass(frozen=True)
class Roots:
    """Folders, links in their own names resolved; with none of them everything is inside."""

    folders: tuple[str, ...] = ()

    @classmethod
    def of(cls, folders: Iterable[Path | str]) -> Roots:
        """Return the roots that these folders are, whether they are there yet or not."""
        return cls(tuple(dict.fromkeys(os.path.realpath(folder) for folder in folders)))

    def hold(self, path: Path | str) -> bool:
        """Say whether a path leads into one of the folders, wherever its links go."""
        return not self.folders or self._inside(os.path.realpath(path))

    def check(self, paths: Iterable[Path], remedy: str) -> None:
        """Raise InvalidData for the first path that leads out of the folders; `remedy` says what to do."""
        if not self.folders:
            return
        above: dict[str, str] = {}
        for path in paths:
            folder, name = os.path.split(path)
            real = above.get(folder) or above.setdefault(folder, os.path.realpath(folder))
            whole = os.path.join(real, name)  # noqa: PTH118 - a Path for each of many takes seconds
            found = os.path.realpath(whole) if name == ".." or os.path.islink(whole) else whole  # noqa: PTH114
            if not self._inside(found):
                led = f" leads to {found}, which" if str(path) != found else ""
                raise InvalidData(f"{path}{led} lies outside {self}; {remedy}")

    def __str__(self) -> str:
        return " and ".join(self.folders)

    def _inside(self, real: str) -> bool:
        return any(
            real == folder or real.startswith(folder if folder == os.sep else folder + os.sep)
            for folder in self.folders
        )


def read(text: str) -> tuple[Path, ...]:
    """Return the folders of a list such as PATH is one; a relative one is from here, an empty one is none."""
    parts: Sequence[str] = text.split(os.pathsep)
    return tuple(Path(part).expanduser().absolute() for part in parts if part)
