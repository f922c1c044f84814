"""Watches a folder in processes that are killed one after the other; torch is loaded once for all of them."""

import os
import random
import signal
import sys
import time
from pathlib import Path

PATIENCE = 60.0  # seconds for a watch to score something


def lines(out: Path) -> int:
    """Return how many lines the journal has, whole or not."""
    file = out / "scores.jsonl"
    return file.read_bytes().count(b"\n") if file.exists() else 0


def main(model: str, folder: Path, out: Path, rounds: int) -> int:
    """Kill a watch `rounds` times in the midst of its work, let the last one finish, and return its code."""
    # Loaded before the forks; torch computes nothing before them.
    import ad_detectors.zoo.pixel_mean  # noqa: F401
    import ad_workers.predicting.watching  # noqa: F401
    from ad_cli.main import run

    run(["predict", model, "nowhere.png"])  # loads what parses a command
    dice, wanted = random.Random(7), len(list(folder.iterdir()))
    kills = 0
    while True:
        before = lines(out)
        child = os.fork()
        if child == 0:
            asked = ["predict", model, "--watch", str(folder), "--out", str(out)]
            os._exit(run([*asked, "--settle", "0.05", "--masks", "--threshold", "1.5", "-q"]))
        last = kills == rounds
        end = time.monotonic() + PATIENCE
        while lines(out) < (wanted if last else min(wanted, before + 1)) and time.monotonic() < end:
            time.sleep(0.001)
        if last:
            os.kill(child, signal.SIGTERM)
            return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        time.sleep(dice.random() * 0.03)
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        kills += 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]), int(sys.argv[4])))
