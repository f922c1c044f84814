"""Which pictures a prediction scores, in order: a file in the storage that is named by its own content."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePath

from ad_platform.errors import CorruptBundle, InvalidValue
from ad_platform.specs import Json
from ad_platform.storage.contract import Storage
from ad_platform.storage.layout import listing_path
from ad_platform.storage.pushed_file import PushedFile, inside

FORMAT = 1
PUSHED = 2  # each line is a picture's name, SHA-256 and size: the pictures themselves are in the storage too


@dataclass(frozen=True, kw_only=True)
class Listing:
    """Pictures below a folder, by name; their content is read when they are scored."""

    folder: str  # absolute
    names: Sequence[str]  # relative to it, with forward slashes
    node: str = ""  # the only one on which the folder lies; "" where every node has it
    files: Sequence[PushedFile] = ()  # what each holds, in the same order; () where they were not pushed

    @property
    def content(self) -> bytes:
        """Return it as JSON Lines, a name each below a line that says what it is."""
        number = PUSHED if self.files else FORMAT
        head: dict[str, Json] = {"format": number, "folder": self.folder, "node": self.node}
        lines: Sequence[Json] = [each.to_json() for each in self.files] if self.files else [*self.names]
        return "".join(f"{json.dumps(line)}\n" for line in (head, *lines)).encode()

    @property
    def fingerprint(self) -> str:
        """Return the SHA-256 of the content, hex: the same pictures of the same folder have the same one."""
        return hashlib.sha256(self.content).hexdigest()


def write_listing(storage: Storage, listing: Listing) -> str:
    """Keep a listing and return its fingerprint; keeping it again changes nothing. Raises StorageDown."""
    content = listing.content
    fingerprint = hashlib.sha256(content).hexdigest()
    storage.write(listing_path(fingerprint), content)
    return fingerprint


def read_listing(storage: Storage, fingerprint: str) -> Listing:
    """Return a listing; raise CorruptBundle if it is missing or not what was kept."""
    path = listing_path(fingerprint)
    content = storage.read(path)
    if content is None:
        raise CorruptBundle(f"{path} is missing: submit the prediction again")
    if hashlib.sha256(content).hexdigest() != fingerprint:
        raise CorruptBundle(f"{path} has changed since it was written: submit the prediction again")
    try:
        head, *lines = [json.loads(line) for line in content.splitlines()]
        files = tuple(map(PushedFile.from_json, lines)) if head["format"] == PUSHED else ()
        names = [each.name for each in files] if files else list(map(inside, lines))
        return Listing(folder=_absolute(head["folder"]), names=names, node=str(head["node"]), files=files)
    except (ValueError, KeyError, TypeError, RecursionError, InvalidValue) as error:
        # Whoever may write to the storage can write such a file, and name it by what it holds.
        raise CorruptBundle(f"{path} is no listing of pictures ({error}); submit again") from error


def _absolute(folder: Json) -> str:
    if not isinstance(folder, str) or "\0" in folder or not PurePath(folder).is_absolute():
        raise InvalidValue(f"{str(folder)[:80]!r} is no absolute folder")
    return folder
