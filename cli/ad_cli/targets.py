"""What a word on the command line stands for: a job or a sweep."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, TypeVar

from ad_cli import out
from ad_cli.exits import exit_of
from ad_platform.errors import AdctlError, AmbiguousId, InvalidRequest, UnknownName, suggest
from ad_platform.records import Job, Study

if TYPE_CHECKING:
    from ad_platform.client import Client
    from ad_platform.sweeps.steering import Sweeps

T = TypeVar("T")


def find(client: Client, sweeps: Sweeps, text: str) -> Job | Study:
    """Return the job or the sweep that is meant; a sweep's name goes before the beginning of a job's id.

    "@last" is the newest job. Raises UnknownName where there is neither, AmbiguousId where there is more
    than one.
    """
    if text.startswith("@"):
        return client.job(text)
    study = _sweep(sweeps, text)
    if study is not None and text.casefold() in (study.name.casefold(), study.id):
        return study
    try:
        job = client.job(text)
    except UnknownName as error:
        if study is not None:
            return study
        raise _neither(error, sweeps, text) from error
    if study is not None:
        raise AmbiguousId(text, [job.id, study.name], "jobs and sweeps")
    return job


def job(client: Client, sweeps: Sweeps, text: str, instead: str) -> Job:
    """Return the job that is meant; of a sweep say what to type `instead`, with its name for "{}"."""
    found = find(client, sweeps, text)
    if isinstance(found, Study):
        raise InvalidRequest(f"{found.name} is a sweep; {instead.format(found.name)}")
    return found


def each(texts: Sequence[str], act: Callable[[str], T]) -> tuple[list[T], int]:
    """Do something to each; one that cannot be found or done must not keep the others from it."""
    done, first_error = [], 0
    for text in dict.fromkeys(texts):
        try:
            done.append(act(text))
        except AdctlError as error:
            if len(texts) == 1:
                raise
            out.error(str(error))
            first_error = first_error or exit_of(error)
    return done, first_error


def _sweep(sweeps: Sweeps, text: str) -> Study | None:
    try:
        return sweeps.find(text)
    except UnknownName:
        return None


def _neither(error: UnknownName, sweeps: Sweeps, text: str) -> InvalidRequest:
    """Name the nearest sweep for what cannot be a job's id."""
    names = [view.study.name for view in sweeps.list()]
    if not names or all(char in "0123456789abcdef" for char in text.lower()):
        return error
    return InvalidRequest(f"no job or sweep named '{text}'; {suggest(text, names)}")
