"""`adctl why`: what keeps a job, a sweep or a benchmark from running, or from its end."""

from typing import TYPE_CHECKING, cast

import typer

from ad_cli import out, session, shapes
from ad_cli.commands import options

if TYPE_CHECKING:
    from ad_platform.benchmarks.reasons import BenchmarkReasons
    from ad_platform.specs import Json
    from ad_platform.sweeps.reasons import SweepReasons
    from ad_platform.why import Reasons


def add_to(app: typer.Typer) -> None:
    """Add the command to an application."""
    app.command()(why)


def why(job: options.JobText, as_json: out.AsJson = False, quiet: out.Quiet = False) -> None:
    """Say why something is not running, and what to do.

    Of a job, a sweep or a benchmark, with when it will start or end, where that is known. Of a job that runs:
    where, and whether it is heard of. Of one that failed: the error, and what may help.
    """
    from ad_cli import targets
    from ad_platform.benchmarks.reasons import explain_benchmark
    from ad_platform.records import Benchmark, Study
    from ad_platform.sweeps.reasons import explain_sweep
    from ad_platform.why import explain

    with session.client() as client:
        sweeps = session.sweeps(client)
        found = targets.find(client, sweeps, job)
        if isinstance(found, Study):
            trials = [one.trial for one in sweeps.trials(found)]
            of_sweep = explain_sweep(client, sweeps.view(found), trials)
            _print(f"{found.name}  sweep {found.state}", of_sweep, _sweep_json(of_sweep))
        elif isinstance(found, Benchmark):
            view = session.benchmarks(client).view(found)
            of_benchmark = explain_benchmark(client, view)
            _print(f"{found.name}  benchmark {view.state}", of_benchmark, _benchmark_json(of_benchmark))
        else:
            reasons = explain(client, found)
            _print(f"{found.id}  {found.kind} {shapes.state_words(found)}", reasons, _json(reasons))


def _print(head: str, reasons: "Reasons | SweepReasons | BenchmarkReasons", value: "Json") -> None:
    if out.as_json():
        out.data(value)
    elif out.quiet():
        out.text(" ".join(dict.fromkeys(cause.kind.value for cause in reasons.causes)))
    else:
        out.text(head)
        for line in reasons.lines:
            out.text(f"  {line}")


def _sweep_json(reasons: "SweepReasons") -> "Json":
    from dataclasses import asdict

    study = reasons.view.study
    return cast(
        "Json",
        {
            "id": study.id,
            "name": study.name,
            "state": study.state.value,
            "causes": [asdict(cause) for cause in reasons.causes],
            "past": list(reasons.past),
            "seconds_left": reasons.view.seconds_left,
            "lines": list(reasons.lines),
        },
    )


def _benchmark_json(reasons: "BenchmarkReasons") -> "Json":
    from dataclasses import asdict

    benchmark = reasons.view.benchmark
    return cast(
        "Json",
        {
            "id": benchmark.id,
            "name": benchmark.name,
            "state": reasons.view.state,
            "causes": [asdict(cause) for cause in reasons.causes],
            "past": list(reasons.past),
            "seconds_left": reasons.seconds_left,
            "lines": list(reasons.lines),
        },
    )


def _json(reasons: "Reasons") -> "Json":
    from dataclasses import asdict

    return cast(
        "Json",
        {
            "id": reasons.job.id,
            "state": reasons.job.state.value,
            "could_run": reasons.could_run,
            "causes": [asdict(cause) for cause in reasons.causes],
            "past": list(reasons.past),
            "failures": [asdict(failure) for failure in reasons.failures],
            "estimate": asdict(reasons.estimate) if reasons.estimate else None,
            "lines": list(reasons.lines),
        },
    )
