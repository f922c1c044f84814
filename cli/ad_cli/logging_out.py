"""How `adctl logs` prints what an attempt has written."""

from collections import deque
from collections.abc import Iterable, Iterator

from ad_cli import out
from ad_platform.client import Client
from ad_platform.errors import UnknownName
from ad_platform.records import Job


def print_log(client: Client, job: Job, attempt: int | None, *, follow: bool, tail: int | None) -> None:
    """Print the log of an attempt; raise UnknownName for one that was never made."""
    if attempt is not None and attempt > job.attempt:
        raise UnknownName(f"attempt of job {job.id}", str(attempt), map(str, range(1, job.attempt + 1)))
    if job.attempt == 0 and not follow:
        out.note(f"job {job.id} is {job.state}; it has written nothing yet")
    if out.as_json():
        for line in _lines(client.logs(job, attempt, follow=follow), tail):
            out.line({"job": job.id, "line": line.decode(errors="replace").rstrip("\n")})
    elif tail is None:
        for content in client.logs(job, attempt, follow=follow):
            out.raw(content)
    else:
        _print_tail(client, job, attempt, tail, follow=follow)


def _print_tail(client: Client, job: Job, attempt: int | None, tail: int, *, follow: bool) -> None:
    so_far = b"".join(client.logs(job, attempt))
    for line in _lines([so_far], tail):
        out.raw(line)
    if not follow:
        return
    seen = len(so_far)
    for content in client.logs(job, attempt, follow=True):
        out.raw(content[seen:])
        seen = max(0, seen - len(content))


def _lines(chunks: Iterable[bytes], tail: int | None) -> Iterator[bytes]:
    """Join chunks, which end anywhere, into lines; the last few of them, if so many are wanted."""
    lines = _joined(chunks)
    return lines if tail is None else iter(deque(lines, maxlen=tail))


def _joined(chunks: Iterable[bytes]) -> Iterator[bytes]:
    rest = b""
    for chunk in chunks:
        *whole, rest = (rest + chunk).splitlines(keepends=True) or [b""]
        if rest.endswith(b"\n"):
            whole, rest = [*whole, rest], b""
        yield from whole
    if rest:
        yield rest
