"""What a word on the command line stands for: a job, a sweep or a benchmark."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, TypeVar

from ad_cli import out, session
from ad_cli.exits import exit_of
from ad_platform.errors import AdctlError, AmbiguousId, InvalidRequest, UnknownName, suggest
from ad_platform.records import Benchmark, Job, Study

if TYPE_CHECKING:
    from ad_platform.benchmarks.steering import Benchmarks
    from ad_platform.client import Client
    from ad_platform.sweeps.steering import Sweeps

T = TypeVar("T")


def find(client: Client, sweeps: Sweeps, text: str) -> Job | Study | Benchmark:
    """Return the job, sweep or benchmark that is meant; a name goes before the beginning of a job's id.

    "@last" is the newest job. Raises UnknownName where there is neither, AmbiguousId where there is more
    than one.
    """
    if text.startswith("@"):
        return client.job(text)
    benchmarks = session.benchmarks(client)
    named = [one for one in (_or_none(sweeps.find, text), _or_none(benchmarks.find, text)) if one is not None]
    for one in named:
        if text.casefold() in (one.name.casefold(), one.id):
            return one
    try:
        job = client.job(text)
    except UnknownName as error:
        if len(named) == 1:
            return named[0]
        if named:
            raise AmbiguousId(text, [one.name for one in named], "sweeps and benchmarks") from error
        raise _none(error, sweeps, benchmarks, text) from error
    if named:
        raise AmbiguousId(text, [job.id, *(one.name for one in named)], "jobs, sweeps and benchmarks")
    return job


def job(client: Client, sweeps: Sweeps, text: str, instead: str) -> Job:
    """Return the job that is meant; of a sweep say what to type `instead`, its name for "{}"."""
    found = find(client, sweeps, text)
    if isinstance(found, Study):
        raise InvalidRequest(f"{found.name} is a sweep; {instead.format(found.name)}")
    if isinstance(found, Benchmark):
        raise InvalidRequest(
            f"{found.name} is a benchmark of many jobs; name one of them: adctl benchmark show {found.name}"
        )
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


def _or_none(find: Callable[[str], T], text: str) -> T | None:
    try:
        return find(text)
    except UnknownName:
        return None


def _none(error: UnknownName, sweeps: Sweeps, benchmarks: Benchmarks, text: str) -> InvalidRequest:
    """Name the nearest sweep or benchmark for what cannot be a job's id."""
    names = [*(view.study.name for view in sweeps.list()), *(one.name for one in benchmarks.list())]
    if not names or all(char in "0123456789abcdef" for char in text.lower()):
        return error
    return InvalidRequest(f"no job, sweep or benchmark named '{text}'; {suggest(text, names)}")
