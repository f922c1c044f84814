"""Why a benchmark stands where it stands, by what keeps the jobs it has open, and what has failed."""

from dataclasses import dataclass

from ad_platform.benchmarks.outlook import seconds_left
from ad_platform.benchmarks.viewing import BenchmarkView
from ad_platform.history import span
from ad_platform.looking import Looking
from ad_platform.why.causes import Cause, Kind
from ad_platform.why.telling import ago
from ad_platform.why.together import OPEN, of_jobs

MOST = 1000  # jobs of a benchmark that are looked at
NAMED = 3  # reasons for failures, and needs that others wait for, that are told


@dataclass(frozen=True, kw_only=True)
class BenchmarkReasons:
    """Why a benchmark stands where it stands."""

    view: BenchmarkView
    causes: tuple[Cause, ...]
    past: tuple[str, ...] = ()  # what went wrong
    seconds_left: float | None = None

    @property
    def lines(self) -> tuple[str, ...]:
        """Return the whole explanation, one sentence a line."""
        told = [line for cause in self.causes for line in cause.told()]
        left = [] if self.seconds_left is None else [f"it should end in about {span(self.seconds_left)}"]
        return (*told, *self.past, *left)


def explain_benchmark(client: Looking, view: BenchmarkView) -> BenchmarkReasons:
    """Say what a benchmark does or waits for, and which of its cells have failed."""
    if not view.open:
        return BenchmarkReasons(view=view, causes=(_ended(view, client.store.now()),), past=_failures(view))
    jobs = client.jobs(group=view.benchmark.name, states=OPEN, limit=MOST, oldest_first=True)
    causes = of_jobs(client, jobs)
    needs = [cause for cause in causes if cause.kind is Kind.NEEDS]
    shown = [cause for cause in causes if cause.kind is not Kind.NEEDS] + needs[:NAMED]
    if len(needs) > NAMED:
        words = f"{len(needs) - NAMED} more wait for their own trainings"
        shown.append(Cause(kind=Kind.NEEDS, words=words))
    return BenchmarkReasons(
        view=view,
        causes=tuple(shown),
        past=_failures(view),
        seconds_left=seconds_left(view, client.store.now()),
    )


def _ended(view: BenchmarkView, now: float) -> Cause:
    name, finished = view.benchmark.name, view.benchmark.finished_at
    when = ago(finished, now) if finished else "a moment ago"
    words = f"it ended {when}, with {view.done} of {len(view.cells)} cells"
    if view.failed:
        return Cause(kind=Kind.FAILED, words=words, advice=f"run the others again: adctl retry {name}")
    return Cause(kind=Kind.FINISHED, words=words, advice=f"its result: adctl leaderboard {name}")


def _failures(view: BenchmarkView) -> tuple[str, ...]:
    """Tell of the cells without a result, each reason once."""
    found: dict[str, list[str]] = {}
    for cell in view.cells:
        if cell.bad:
            reason = cell.error.partition(": ")[2] or cell.error
            found.setdefault(reason, []).append(f"{cell.model} {cell.category} seed {cell.seed}")
    told = [f"{places[0]}{_more(len(places) - 1)}: {reason}" for reason, places in found.items()]
    rest = [f"and {len(told) - NAMED} other reasons: adctl benchmark show {view.benchmark.name}"]
    return (*told[:NAMED], *(rest if len(told) > NAMED else []))


def _more(count: int) -> str:
    return f" and {count} more" if count else ""
