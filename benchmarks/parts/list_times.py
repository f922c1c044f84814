"""How long `adctl list` and `leaderboard` take as processes, on an empty store and a full one, by turns."""

import subprocess
import sys
import time
from collections.abc import Sequence
from statistics import median

from parts.full_store import Full

GOAL = 0.3  # seconds more than on an empty store
LISTS = (
    *("", "-r", "-s failed", "-s waiting -s queued -s running", "-s succeeded", "-k predict", "-m ddad"),
    *("-m padim -k predict", "-d visa", "-c screw", "-c screw -d visa", "--user user03", "--user nobody"),
    *("--tag purpose", "--tag purpose=demo", "--tag purpose=nothing", "--group set-700", "--group nothing"),
    *("--queue big", "--worker node3-1", "--name night*", "--name *zzz*", "--since 2d", "--since 400d -r"),
    *("-c zipper -d mvtec --user user05 -s failed", "-c screw -k predict -s cancelled --worker node1-1"),
    *("--user user03 -c screw --queue big --name try-1*", "--sort name", "--sort data", "--sort user"),
    *("--sort state", "--sort image_auroc", "--sort image_auroc -c screw", "-k trial --sort image_auroc -r"),
)


def rows(empty: Full, full: Full, runs: int) -> list[list[str]]:
    """Return a row for each command: the medians, and whether the goal of lists is met."""
    found = []
    for options in LISTS:
        command = ["list", *options.split()]
        pair = _by_turns(command, empty, command, full, runs)
        found.append(_row(" ".join(["adctl", *command]), full.name, *pair, GOAL))
    for command in (["leaderboard", full.benchmark], ["leaderboard"], ["status"]) if full.benchmark else ():
        none = (
            command if command == ["status"] else ["benchmark", "list"]
        )  # of an empty store there is no board
        pair = _by_turns(none, empty, command, full, max(1, runs // 2))
        found.append(_row(" ".join(["adctl", *command]), full.name, *pair, None))
    return found


def _by_turns(
    of_empty: Sequence[str], empty: Full, of_full: Sequence[str], full: Full, runs: int
) -> tuple[float, float]:
    _timed(of_full, full)  # what it reads lies in memory afterwards, as on a machine at work
    pairs = [(_timed(of_empty, empty), _timed(of_full, full)) for _ in range(runs)]
    return median(one for one, _ in pairs), median(two for _, two in pairs)


def _timed(command: Sequence[str], store: Full) -> float:
    whole = [sys.executable, "-m", "ad_cli", *command]
    began = time.monotonic()
    done = subprocess.run(whole, env=store.env, capture_output=True, text=True, check=False)
    spent = time.monotonic() - began
    # An empty store knows no detector to ask for, nor a measure to sort by, and says so.
    if done.returncode and store.jobs:
        raise SystemExit(f"{' '.join(whole)}: code {done.returncode}\n{done.stderr[-2000:]}")
    return spent


def _row(what: str, store: str, before: float, after: float, goal: float | None) -> list[str]:
    more = after - before
    met = "" if goal is None else "yes" if more < goal else "no"
    aim = "" if goal is None else f"{goal:g} s"
    return [f"`{what}`", store, f"{before:.3f} s", f"{after:.3f} s", f"{more:+.3f} s", aim, met]
