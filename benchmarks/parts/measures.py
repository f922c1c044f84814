"""How each figure is measured, on a platform that runs and is warm."""

import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

from parts import dvc_queue
from parts.figures import Row
from parts.home import Home, run_json

from ad_detectors.data.fingerprint import fingerprint
from ad_platform import catalogue
from ad_platform.client import Client
from ad_platform.requests import TrainRequest
from ad_platform.specs import DatasetRef

LOCAL = """
import json, sys, time, torch
from pathlib import Path
from ad_detectors.local import fit_local
out, data, threads, config = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]), json.loads(sys.argv[4])
began = time.monotonic()
fit_local("ddad", config, data, out, threads=threads)
print(json.dumps(time.monotonic() - began))
"""


def help_page(home: Home, runs: int) -> Row:
    """Time `adctl --help`."""
    return Row(
        what="`adctl --help` as a process", values=_times(runs, lambda: home.adctl("--help")), goal=0.25
    )


def submit_process(home: Home, runs: int) -> Row:
    """Time `adctl submit train`, until it has printed the job's id and ended."""
    ids: list[str] = []
    values = _times(runs, lambda: ids.append(home.submit()), after=lambda: home.ended(ids))
    return Row(what="`adctl submit train` as a process", values=values, goal=0.6)


def first_step(home: Home, runs: int) -> list[Row]:
    """Time from a submit, of a process and of a program's call, to the first step on the warm worker."""
    by_process, by_call = [], []
    for _ in range(runs):
        asked = time.time()
        by_process.append(_began(home, home.submit()) - asked)
    with Client(home.settings) as client:
        category = home.category
        ref = DatasetRef(
            dataset=category.parent.name,
            category=category.name,
            fingerprint=fingerprint(category),
            path=str(category),
        )
        for _ in range(runs):
            request = TrainRequest(detector="instant", dataset=ref, evaluate=False, seed=next(home.seeds))
            asked = time.time()
            job = client.submit_train(request).jobs[0]
            by_call.append(_began(home, job.id) - asked)
    return [
        Row(
            what="submit to first training step, warm worker",
            values=by_process,
            goal=1.0,
            note="from the start of the `adctl` process",
        ),
        Row(what="the same, submitted by a program", values=by_call, note="from the call of `submit_train`"),
    ]


def three_jobs(home: Home, runs: int, dvc: Path | None) -> list[Row]:
    """Time three trivial jobs from the first submit to the last end, beside a DVC queue, by turns."""
    ours: list[float] = []
    theirs: list[float] = []
    trouble = dvc_queue.install(dvc) if dvc is not None else "left out by --no-dvc"
    for _ in range(runs):
        began = time.monotonic()
        home.ended([home.submit() for _ in range(3)])
        ours.append(time.monotonic() - began)
        if dvc is not None and not trouble:
            theirs.append(dvc_queue.jobs(dvc, home.folder))
    note = f"{home.slots} slot, three `adctl submit` one after another"
    rows = [Row(what="3 trivial jobs, submit to all done", values=ours, goal=3.0, note=note)]
    rows.append(Row(what="3 trivial jobs, DVC queue", values=theirs, note=trouble or "`--jobs 1`"))
    if theirs:
        ratios = [their / our for our, their in zip(ours, theirs, strict=True)]
        rows.append(Row(what="DVC's time over ours", values=ratios, unit="x"))
    return rows


def overhead(home: Home, pairs: int, seconds: float) -> list[Row]:
    """Time one fit of DDAD by turns alone and through the platform, with the same threads."""
    threads = max(1, (os.cpu_count() or 1) // home.slots)
    few, many = 10, 40
    _alone(home, threads, few, "warm")  # the pictures are in the page cache afterwards
    rate = (_alone(home, threads, many, "m") - _alone(home, threads, few, "f")) / (many - few)
    steps = max(many, round(seconds / max(rate, 1e-3)))
    alone: list[float] = []
    through: list[float] = []
    for number in range(pairs):
        alone.append(_alone(home, threads, steps, str(number)))
        job = home.submit("--preset", "tiny", "-S", f"steps={steps}", model="ddad")
        # Both times are the store's own, so looking seldom costs nothing; often, it took a core from the fit.
        done = home.ended([job], every=2.0)[0]
        assert done.started_at is not None
        assert done.finished_at is not None
        through.append(done.finished_at - done.started_at)
    over = [100 * (ours / local - 1) for ours, local in zip(through, alone, strict=True)]
    note = f"DDAD `tiny`, {steps} steps, {threads} threads"
    return [
        Row(what="a fit by `ad_detectors.local.fit_local`", values=alone, note=note),
        Row(what="the same fit as a job", values=through, note="from lease to finish"),
        Row(what="platform overhead", values=over, goal=3.0, unit="%", note="pair by pair, by turns"),
    ]


def _alone(home: Home, threads: int, steps: int, name: str) -> float:
    with Client(home.settings) as client:
        config = catalogue.resolve(client.catalogue().entry("ddad"), "tiny", {"steps": steps})
    out = home.folder / "alone" / name
    command = [sys.executable, "-c", LOCAL, str(out), str(home.category), str(threads), json.dumps(config)]
    # As the worker sets it for its children.
    return float(run_json(command, {"OMP_WAIT_POLICY": "PASSIVE", **home.env}, home.folder))


def _began(home: Home, job_id: str) -> float:
    metrics = home.ended([job_id])[0].result["metrics"]
    assert isinstance(metrics, dict)
    return float(str(metrics["train/began"]))


def _times(runs: int, call: Callable[[], object], after: Callable[[], object] = lambda: None) -> list[float]:
    values = []
    for _ in range(runs):
        began = time.monotonic()
        call()
        values.append(time.monotonic() - began)
        after()
    return values
