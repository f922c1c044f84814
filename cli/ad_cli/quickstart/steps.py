"""The tour, step by step: each does what a command of its own does, unless that was done before."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import typer
from filelock import FileLock

from ad_cli import out, session, watching
from ad_cli.exits import Exit
from ad_cli.quickstart import contest, pictures, screws
from ad_cli.quickstart.contest import Contender
from ad_cli.quickstart.pictures import Seen
from ad_cli.quickstart.screws import Screws
from ad_platform.client import Client
from ad_platform.errors import AdctlError, GateRefused
from ad_platform.records import Champion, Job
from ad_platform.settings import Settings
from ad_platform.stack.lifecycle import Running

STEPS = (
    "start the services",
    "draw screws",
    "train and evaluate DDAD (tiny) and PatchCore",
    "promote the better",
    "predict three pictures",
)
ALIAS = "champion"


@dataclass
class Diary:
    """How long each step took."""

    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def step(self, number: int) -> Iterator[None]:
        """Announce a step, time it, and say what stands when it does not end well."""
        title, began = STEPS[number - 1], time.monotonic()
        out.note(f"[{number}/{len(STEPS)}] {title}")
        try:
            yield
        except KeyboardInterrupt:
            out.note(f"\n{_where_it_stands(number)}")
            raise typer.Exit(Exit.INTERRUPTED) from None
        except (AdctlError, OSError):
            out.note(_where_it_stands(number))
            raise
        self.seconds[title] = round(time.monotonic() - began, 1)


@dataclass(frozen=True, kw_only=True)
class Tour:
    """What a tour has seen."""

    running: Running
    screws: Screws
    contenders: Sequence[Contender]
    chosen: Contender
    champion: Champion
    seen: Seen
    seconds: dict[str, float]


def tour(settings: Settings, start: Callable[[Settings], Running]) -> Tour:
    """Make the tour, whose first step is `start`; what was done before is found, not done again."""
    diary = Diary()
    with diary.step(1):
        running = start(settings)
    with session.client() as client:
        with diary.step(2), _alone(settings):
            drawn = _draw(settings)
        with diary.step(3):
            contenders = _train(client, drawn)
        chosen = contest.better(contenders)
        with diary.step(4):
            out.note(contest.words(contenders, chosen))
            champion = _promote(client, chosen)
        with diary.step(5), _alone(settings):
            seen = pictures.look(client, champion, drawn)
    return Tour(
        running=running,
        screws=drawn,
        contenders=contenders,
        chosen=chosen,
        champion=champion,
        seen=seen,
        seconds=diary.seconds,
    )


@contextmanager
def _alone(settings: Settings) -> Iterator[None]:
    """Let one call at a time write files; another waits for what it then finds done."""
    with FileLock(settings.home / "stack" / "quickstart.lock"):
        yield


def _draw(settings: Settings) -> Screws:
    drawn = screws.draw(settings, told=lambda done, of: None)
    state = "drawn" if drawn.fresh else "there already"
    out.note(f"{state}: {drawn.found.counts(screws.HOLDOUT)}")
    return drawn


def _train(client: Client, drawn: Screws) -> list[Contender]:
    asked = contest.ask(client, drawn)
    jobs = [job for each in asked for job in (each.train, each.evaluate)]
    if all(job.state.terminal for job in jobs):
        out.note("done before")
    else:
        _await(client, jobs)
    ended = contest.again(client, asked)
    for job in (job for each in ended for job in (each.train, each.evaluate)):
        if code := watching.end_code([job]):
            out.note(_where_it_stands(3))
            why = f": {job.error}" if job.error else ""
            out.error(f"{job.kind} job {job.id} {job.state}{why}; look with: adctl logs {job.id}")
            raise typer.Exit(code)
    return ended


def _await(client: Client, jobs: Sequence[Job]) -> None:
    """Wait for jobs with all there is to see, or in silence where only the end is wanted."""
    if out.as_json() or out.quiet():
        for _ in client.watch([job.id for job in jobs]):
            pass
    elif watching.watch_to_the_end(client, jobs) is Exit.INTERRUPTED:
        out.note(_where_it_stands(3))
        raise typer.Exit(Exit.INTERRUPTED)


def _promote(client: Client, chosen: Contender) -> Champion:
    """Promote the better one; a champion that is better still, by whomever, stays."""
    try:
        return client.promote(chosen.evaluate.id, ALIAS).champion
    except GateRefused as refused:
        standing = _standing(client, chosen)
        if standing is None:
            raise
        out.note(f"{refused}; so job {standing.job_id} stays {standing.model}@{ALIAS}")
        return standing


def _standing(client: Client, chosen: Contender) -> Champion | None:
    return client.carrying(chosen.train, ALIAS)


def _where_it_stands(number: int) -> str:
    left = "" if number == 1 else "; the services run on, adctl down stops them"
    return f"stopped in step {number} of {len(STEPS)}, {STEPS[number - 1]}: go on with adctl quickstart{left}"
