"""How `adctl logs` prints what an attempt has written."""

from collections import deque
from collections.abc import Iterable, Iterator

from ad_cli import out, shapes
from ad_cli.exits import Exit
from ad_platform.client import Client
from ad_platform.errors import InvalidRequest
from ad_platform.records import Job


def print_log(client: Client, job: Job, attempt: int | None, *, follow: bool, tail: int | None) -> Exit:
    """Print the log of an attempt; raise InvalidRequest for one that was never made."""
    if attempt is not None and attempt > job.attempt:
        made = f"its newest attempt is {job.attempt}" if job.attempt else "no attempt was made yet"
        raise InvalidRequest(f"job {job.id} has no attempt {attempt}; {made}")
    short = job.id[: shapes.SHORT]
    if job.attempt == 0:
        wait = ", so this waits; Ctrl-C ends it" if follow and not job.state.terminal else ""
        out.note(f"job {short} is {shapes.state_words(job)}; it has written nothing yet{wait}")
    try:
        for line in _wanted(client, job, attempt, follow=follow, tail=tail):
            if out.as_json():
                out.line({"job": job.id, "line": line.decode(errors="replace").rstrip("\r\n")})
            else:
                out.raw(line)
    except KeyboardInterrupt:
        if follow and not client.job(job.id).state.terminal:
            out.note(f"\nthe job goes on: `adctl watch {short}`, `adctl cancel {short}`")
        return Exit.INTERRUPTED
    return Exit.OK


def _wanted(
    client: Client, job: Job, attempt: int | None, *, follow: bool, tail: int | None
) -> Iterator[bytes]:
    """Yield what there is, the last lines of it if so many are wanted, and then what comes."""
    if not follow:
        chunks = client.logs(job, attempt)
        if tail is None and not out.as_json():
            return chunks
        return _lines(chunks) if tail is None else iter(deque(_lines(chunks), maxlen=tail))
    coming = client.logs(job, attempt, follow=True, trouble=_Once())
    return _lines(coming) if tail is None else _from_tail(client, job, attempt, coming, tail)


def _from_tail(
    client: Client, job: Job, attempt: int | None, coming: Iterator[bytes], tail: int
) -> Iterator[bytes]:
    """Yield the last lines of what there is by now, then each further line when it is whole."""
    so_far = b"".join(client.logs(job, attempt))
    known = list(_lines([so_far]))
    # A last line without its end is not there yet: it is printed when the rest of it comes.
    rest = known.pop() if known and not known[-1].endswith(b"\n") else b""
    yield from known[max(0, len(known) - tail) :]
    yield from _lines(_after(len(so_far) - len(rest), coming))


def _after(skipped: int, chunks: Iterable[bytes]) -> Iterator[bytes]:
    for chunk in chunks:
        yield chunk[skipped:]
        skipped = max(0, skipped - len(chunk))


def _lines(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Join chunks, which end anywhere, into lines."""
    rest = b""
    for chunk in chunks:
        *whole, rest = (rest + chunk).split(b"\n")
        yield from (line + b"\n" for line in whole)
    if rest:
        yield rest


class _Once:
    """Says what is away, once each time it goes away or another thing does."""

    def __init__(self) -> None:
        self._said = ""

    def __call__(self, words: str) -> None:
        if words != self._said:
            self._said = words
            out.note(f"waiting: {words}")
