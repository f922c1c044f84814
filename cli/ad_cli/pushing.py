"""Pushes pictures to the storage and pulls them from it: a bar on the terminal, then what came of it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ad_cli import out
from ad_cli.collecting import size as bytes_of
from ad_cli.progress import Progress
from ad_platform import datasets
from ad_platform.errors import AmbiguousId, Conflict, InvalidRequest, UnknownName
from ad_platform.specs import DatasetRef

if TYPE_CHECKING:
    from ad_platform.client import Client
    from ad_platform.pictures.pushing import PushResult
    from ad_platform.records import PushedData
    from ad_platform.specs import Json

SHORT = 12  # characters of a fingerprint


def asked(client: Client, folder: Path | None, dataset: str | None, category: str | None) -> list[DatasetRef]:
    """Return the categories of this machine that are meant: one, or all in the folder of a dataset."""
    inside = datasets.inside(folder) if folder is not None and dataset is None and category is None else []
    if folder is not None and inside and not (folder / "train").is_dir():
        return [datasets.open_folder(client.settings, each).ref for each in inside]
    found = datasets.find(client, folder, dataset, category)
    if not found.here:
        raise InvalidRequest(
            f"{found.ref.dataset}/{found.ref.category} is not on this machine; push it where it lies"
        )
    return [found.ref]


def push(client: Client, wanted: Sequence[DatasetRef], *, check: bool = False) -> None:
    """Push categories, each whole or not at all, and say what came of each."""
    told: list[Json] = []
    for ref in wanted:
        result = _push(client, ref, check=check)
        if out.as_json():
            told.append(_push_json(result))
        elif out.quiet():
            out.text(ref.fingerprint)
        else:
            out.text(f"{ref.dataset}/{ref.category}  {ref.fingerprint[:SHORT]}  {_came_of(result)}")
    if out.as_json():
        out.data(told)


def before_a_submit(client: Client, wanted: Iterable[DatasetRef]) -> None:
    """Push what jobs need that are about to be submitted; raise InvalidRequest for what is not here."""
    known = {each.fingerprint for each in client.pushed()}
    for ref in {each.fingerprint: each for each in wanted}.values():
        if ref.path and Path(ref.path).is_dir():
            result = _push(client, ref)
            out.note(f"{ref.dataset}/{ref.category}: {_came_of(result)}")
        elif ref.fingerprint not in known:
            raise InvalidRequest(
                f"{ref.dataset}/{ref.category} is not on this machine, so it cannot be pushed from here; "
                "leave --push out, or push it where it lies: adctl data push DIR"
            )


def named(client: Client, text: str) -> PushedData:
    """Return the pushed pictures that a fingerprint, its first characters or DATASET/CATEGORY names."""
    known = [each for each in client.pushed() if each.dataset]
    fitting = [each for each in known if f"{each.dataset}/{each.category}" == text]
    if fitting:
        return fitting[0]  # the newest
    fitting = [each for each in known if text and each.fingerprint.startswith(text.lower())]
    if not fitting:
        names = dict.fromkeys(f"{each.dataset}/{each.category}" for each in known)
        raise UnknownName("pushed category or fingerprint", text, list(names))
    if len(fitting) > 1:
        raise AmbiguousId(text, [each.fingerprint[:SHORT] for each in fitting], "pushed categories")
    return fitting[0]


def pull(client: Client, text: str, target: Path | None) -> None:
    """Copy pushed pictures to a folder: one of the dataset's and category's name unless told."""
    from ad_platform.pictures.pulling import pull as copy
    from ad_platform.pictures.sets import read_set

    note = named(client, text)
    found = read_set(client.storage, note.fingerprint)
    if found is None:
        raise Conflict(f"{text} is noted as pushed and is not in the storage: adctl doctor --fix")
    folder = target or Path(note.dataset, note.category)
    bar = Progress(len(found.files))
    came = copy(client.storage, client.settings, found, folder, lambda done, of: bar.after(done))
    bar.clear()
    if out.as_json():
        out.data({**pushed_json(note), "path": str(folder.absolute()), "came": came})
    else:
        out.text(str(folder))
        out.note(f"{note.files} files, {bytes_of(note.size)}: {came} came, {note.files - came} lay there")


def drop(client: Client, text: str) -> None:
    """Take back that pictures were pushed; raise Conflict while a job that has not ended needs them."""
    note = named(client, text)
    if not client.unpush(note.fingerprint):
        raise Conflict(f"{text} is needed by a job that has not ended; cancel it, or wait for its end")
    if out.as_json():
        out.data(pushed_json(note))
    else:
        out.text(note.fingerprint)
        out.note("no worker fetches them any more; the next adctl gc takes the files that nothing else needs")


def pushed_json(note: PushedData) -> dict[str, Json]:
    """Return what is known of pushed pictures as JSON."""
    return {
        "dataset": note.dataset,
        "category": note.category,
        "fingerprint": note.fingerprint,
        "files": note.files,
        "size": note.size,
        "user": note.user,
        "at": note.at,
    }


def _push(client: Client, ref: DatasetRef, *, check: bool = False) -> PushResult:
    bars: list[Progress] = []

    def told(done: int, of: int) -> None:
        if not bars:
            bars.append(Progress(of))
        bars[0].after(done)

    try:
        return client.push(ref, told, check=check)
    finally:
        for bar in bars:
            bar.clear()


def _push_json(result: PushResult) -> dict[str, Json]:
    return {**pushed_json(result.note), "sent": result.sent, "sent_bytes": result.sent_bytes}


def _came_of(result: PushResult) -> str:
    note = result.note
    every = f"{note.files} files, {bytes_of(note.size)}"
    if not result.sent:
        return f"{every}: all in the storage already"
    if result.sent_bytes == note.size:
        return f"{every}: all sent"
    return f"{every}: {result.sent} sent ({bytes_of(result.sent_bytes)}), the others were there"
