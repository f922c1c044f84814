"""A picture that lies in the storage by its content: what it is called where it came from, and its hash."""

from __future__ import annotations

from dataclasses import dataclass

from ad_platform.errors import InvalidValue
from ad_platform.specs import Json
from ad_platform.storage.layout import blob_path


@dataclass(frozen=True)
class PushedFile:
    """A file of a set of pictures."""

    name: str  # relative to the folder of all, with forward slashes
    sha256: str
    size: int  # bytes

    @property
    def path(self) -> str:
        """Return where it lies in the storage."""
        return blob_path(self.sha256)

    def to_json(self) -> Json:
        """Return it as JSON."""
        return [self.name, self.sha256, self.size]

    @classmethod
    def from_json(cls, value: Json) -> PushedFile:
        """Read it back; raise InvalidValue for a name that leads out of the folder, or what is no such file.

        The list comes from a storage that others may write to, and its names become files of this machine.
        """
        match value:
            case [str(name), str(sha256), int(size)] if size >= 0:
                blob_path(sha256)
                return cls(inside(name), sha256, size)
        raise InvalidValue(f"{str(value)[:80]!r} is no file of a set: [name, sha256, size]")


def inside(name: Json) -> str:
    """Return a name below a folder unchanged; raise InvalidValue for one that leads out of it, or is none."""
    if not isinstance(name, str) or "\0" in name or any(part in ("", ".", "..") for part in name.split("/")):
        raise InvalidValue(f"{str(name)[:80]!r} is not a name below a folder")
    return name
