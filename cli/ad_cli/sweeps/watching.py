"""Shows a sweep until it ends: live bars below a header on a terminal, else one line per change."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from ad_cli import out, shapes
from ad_cli.exits import Exit
from ad_cli.sweeps import outcome, showing, words
from ad_cli.sweeps.drawing import SweepLines, screen
from ad_cli.sweeps.looks import Look, Looker
from ad_platform.states import JobState, StudyState

if TYPE_CHECKING:
    from ad_platform.client import Client
    from ad_platform.records import Study
    from ad_platform.sweeps.steering import Sweeps
    from ad_platform.sweeps.viewing import SweepView


def watch_sweep(
    client: Client, sweeps: Sweeps, study: Study, clock: Callable[[], float] = time.monotonic
) -> Exit:
    """Show a sweep until it has ended, print its result and return the exit code that tells how."""
    last: Look | None = None
    try:
        for look in _shown(Looker(client, sweeps, study, clock).looks(), clock):
            last = look
    except KeyboardInterrupt:
        _say_it_goes_on(study.name)
        return Exit.INTERRUPTED
    assert last is not None
    if not out.as_json():
        show_end(last.view)
    return end_code(client, last.view)


def end_code(client: Client, view: SweepView) -> Exit:
    """Return the exit code that tells how a sweep ended: it failed if nothing came of it."""
    if view.study.state is StudyState.STOPPED:
        return Exit.JOB_CANCELLED
    if not view.complete and not view.warm:
        return Exit.JOB_FAILED
    states = {client.job(str(view.final[name])).state for name in outcome.JOBS if view.final.get(name)}
    if JobState.FAILED in states:
        return Exit.JOB_FAILED
    return Exit.JOB_CANCELLED if JobState.CANCELLED in states else Exit.OK


def show_end(view: SweepView) -> None:
    """Print what became of a sweep, and what to do with it."""
    study = view.study
    if out.quiet():
        out.text(f"{study.name} {study.state}")
        return
    state = out.in_colour(study.state.value, words.COLOURS.get(study.state.value, ""))
    took = f" after {shapes.span(study.finished_at - study.created_at)}" if study.finished_at else ""
    out.text(f"{study.name}  sweep {words.title(view.spec)}: {state}{took}  {words.sums(view)}")
    showing.section("best", showing.best(view))
    if view.front:
        out.text(f"  the front: trials {', '.join(map(str, view.front))}")
    showing.section("result", outcome.told(view))
    for line in [f"all of it: adctl sweep show {study.name}", *showing.next_steps(view)]:
        out.note(line)


def _shown(looks: Iterator[Look], clock: Callable[[], float]) -> Iterator[Look]:
    if out.as_json():
        return _stream(looks)
    return _bars(looks, clock) if out.lively() and not out.quiet() else _lines(looks)


def _stream(looks: Iterator[Look]) -> Iterator[Look]:
    """Print a line of JSON for every change of the sweep, and of a trial."""
    seen: dict[object, object] = {}
    trouble = ""
    for look in looks:
        spec = look.view.spec
        trials = [words.trial_json(one, spec) for one in look.trials]
        # What is left changes with every look; a change is something else.
        for value in (*trials, words.sweep_json(look.view)):
            name, known = value.get("number"), {**value, "seconds_left": None}
            if seen.get(name) != known:
                out.line(value)
                seen[name] = known
        if look.trouble and not trouble:
            out.note(f"waiting: {look.trouble}")
        trouble = look.trouble
        yield look


def _lines(looks: Iterator[Look]) -> Iterator[Look]:
    lines = SweepLines()
    for look in looks:
        for line in lines.of(look):
            out.note(line)
        yield look


def _bars(looks: Iterator[Look], clock: Callable[[], float]) -> Iterator[Look]:
    from ad_cli.bars import Bars
    from ad_cli.pace import Pace

    pace = Pace(clock)
    with Bars() as bars:
        for look in looks:
            bars.show(screen(look, pace, *bars.size))
            yield look


def _say_it_goes_on(name: str) -> None:
    again, hold, end = f"adctl sweep watch {name}", f"adctl sweep pause {name}", f"adctl cancel {name}"
    out.note(f"\nit goes on: look again with `{again}`, hold it back with `{hold}`, end it with `{end}`")
