"""What `adctl watch` draws on a terminal: the lines of every job, for any width, as text alone."""

from collections.abc import Sequence
from dataclasses import dataclass

from ad_cli import shapes
from ad_cli.pace import Speed
from ad_cli.tables import cut, one_line, painted, width_of
from ad_platform.records import Job
from ad_platform.rungs import beside_rungs
from ad_platform.states import JobState

LABEL = 20  # columns of "detector category"
ROOMY = 70  # columns of a terminal that has room for the kind of a job
BAR = 40  # columns a bar has at most
INDENT = 9  # of a job's second line: below its kind
FULL, EMPTY = "━", "─"
# What is drawn first when there is no room for all of it.
ORDER = [JobState.RUNNING, JobState.FAILED, JobState.QUEUED, JobState.WAITING]


@dataclass(frozen=True, kw_only=True)
class Shown:
    """A job as it is drawn."""

    job: Job
    speed: Speed
    hint: str = ""  # why it does not run
    label: str = ""  # what it is called; by its detector and category unless told


def lines(
    shown: Sequence[Shown],
    trouble: str,
    width: int,
    height: int,
    *,
    label: int = LABEL,
    coloured: bool = True,
) -> list[str]:
    """Return the lines of all jobs, no wider and no more than fit the terminal."""
    usable = max(1, width - 1)  # a full line wraps on some terminals
    room = max(1, height - 2 - bool(trouble))
    drawn = [_of_job(one, usable, label, coloured=coloured) for one in shown]
    if sum(map(len, drawn)) > room:
        drawn = _fewer(shown, drawn, room, usable)
    found = [line for block in drawn for line in block]
    if trouble:
        words = cut(f"waiting: {one_line(trouble)}", usable)
        found.append(painted(words, "yellow") if coloured else words)
    return found


def _fewer(shown: Sequence[Shown], drawn: Sequence[list[str]], room: int, width: int) -> list[list[str]]:
    """Leave the second lines out, and then the jobs that can be spared, with a word on how many."""
    if len(drawn) <= room:
        return [block[:1] for block in drawn]
    states = [one.job.state for one in shown]
    by_need = sorted(range(len(drawn)), key=lambda n: ORDER.index(states[n]) if states[n] in ORDER else 9)
    kept = set(by_need[: max(0, room - 1)])
    left_out = [states[number] for number in range(len(drawn)) if number not in kept]
    counts = ", ".join(f"{left_out.count(state)} {state}" for state in JobState if state in left_out)
    return [*([drawn[n][0]] for n in sorted(kept)), [cut(f"and {counts}", width)]]


def _of_job(one: Shown, width: int, label: int, *, coloured: bool) -> list[str]:
    job = one.job
    head = _head(one, width, label)
    if job.state is not JobState.RUNNING or not job.progress.of:
        return _standing(one, head, width, coloured=coloured)
    done = job.progress
    steps = f"{done.step}/{done.of}"
    left = shapes.span(one.speed.left) if one.speed.left is not None else "?"
    tail = f"{100 * done.step // done.of:>3}%  {steps:>{2 * len(str(done.of)) + 1}}  ETA {left:<6}"
    room = min(BAR, width - width_of(head) - len(tail) - 3)
    if room < 5:
        first = cut(f"{head} {tail}", width)
    else:
        full = min(room, room * done.step // done.of)
        bar = FULL * full + EMPTY * (room - full)
        if coloured:
            bar = painted(bar[:full], "green") + painted(bar[full:], "dim")
        first = f"{head} {bar} {tail}".rstrip()
    second = " " * INDENT + "   ".join(numbers(job, one.speed))
    return [first, cut(second, width)]


def _head(one: Shown, width: int, label: int) -> str:
    """Return what a job is called, as wide for every job; a narrow terminal shows less of it."""
    job = one.job
    kind = f"{job.kind.value:<8} " if width >= ROOMY else ""
    label = label if width >= ROOMY - 10 else label // 2
    what = cut(one_line(one.label) or f"{job.spec.detector} {job.spec.dataset.category}", label)
    return f"{job.id[: shapes.SHORT]} {kind}{what}{' ' * (label - width_of(what))}"


def _standing(one: Shown, head: str, width: int, *, coloured: bool) -> list[str]:
    """Draw a job without a bar: its state, and what is known of why."""
    job = one.job
    state = shapes.state_words(job)
    if job.state is JobState.WAITING and job.needs:
        more = f"for {', '.join(need[: shapes.SHORT] for need in job.needs)}"
    elif job.state is JobState.RUNNING:
        more = begun_words(job, one.speed)
    elif job.state.terminal:
        ended = job.state is JobState.CANCELLED and not job.pruned
        more = "" if ended else shapes.progress_words(job)
    else:
        more = "" if one.hint else job.error
    room = width - width_of(head) - len(state) - 2
    more = cut(one_line(more), max(0, room))
    shown = painted(state, shapes.COLOURS.get(state, "")) if coloured else state
    first = cut(head, width) if room < 0 else f"{head} {shown} {more}".rstrip()
    second = place_words(job) if job.state is JobState.RUNNING else one_line(one.hint)
    return [first, cut(" " * INDENT + second, width)] if second else [first]


def numbers(job: Job, speed: Speed) -> list[str]:
    """Return what is told of a running job beside its steps: measures, speed, attempt, worker."""
    found = []
    if (state := shapes.state_words(job)) in ("cancelling", "pruning"):
        found.append(state)
    found += [
        f"{name.rpartition('/')[2].replace('_', ' ')} {value:.4g}"
        for name, value in list(beside_rungs(job.progress.metrics).items())[:2]
    ]
    if job.progress.message:
        found.append(job.progress.message)
    if speed.images is not None:
        found.append(f"{_rate(speed.images)} images/s")
    elif speed.steps is not None:
        found.append(f"{_rate(speed.steps)} steps/s")
    found.append(place_words(job) + _silence(speed))
    return found


def begun_words(job: Job, speed: Speed) -> str:
    """Say what a running job does before its first step."""
    since = f" for {shapes.span(speed.silent)}" if speed.silent else ""
    return f"{job.progress.message or 'starting'}{since}"


def place_words(job: Job) -> str:
    """Say which attempt runs where."""
    return f"attempt {job.attempt} on {job.worker}"


def _silence(speed: Speed) -> str:
    return f"   no news for {shapes.span(speed.silent)}" if speed.silent else ""


def _rate(value: float) -> str:
    return f"{value:.0f}" if value >= 100 else f"{value:.1f}" if value >= 1 else f"{value:.2g}"
