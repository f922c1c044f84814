"""Submits a benchmark or shows what it would be: data to stdout; to stderr what it costs and what next."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

import typer

from ad_cli import out
from ad_cli.benchmarks import words
from ad_cli.pushing import before_a_submit
from ad_platform.benchmarks.outlook import Outlook
from ad_platform.history import span
from ad_platform.specs import Submission
from ad_platform.why import warnings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ad_platform.benchmarks.asking import BenchmarkRequest
    from ad_platform.benchmarks.steering import BenchmarkPlan, Benchmarks
    from ad_platform.benchmarks.viewing import BenchmarkView
    from ad_platform.client import Client
    from ad_platform.datasets import Found
    from ad_platform.devices import DeviceChoice
    from ad_platform.specs import Json


@dataclass(frozen=True)
class Planned:
    """What a benchmark comes to, and what can be said of it beforehand."""

    plan: BenchmarkPlan
    found: Sequence[Found]
    outlook: Outlook
    device: DeviceChoice | None  # None where nothing has to be computed

    @property
    def time(self) -> str:
        """Say how long it takes; "" where past runs do not tell."""
        left, seen = self.outlook.left, self.outlook
        if not seen.of:
            return "nothing has to be computed"
        if left is None:
            return ""
        slots = "1 slot" if seen.slots <= 1 else f"{seen.slots} slots"
        known = "" if seen.cells == seen.of else f", though past runs tell of {seen.cells} cells alone"
        return f"about {span(left)} with {slots} free{known}"


def plan(
    client: Client, benchmarks: Benchmarks, request: BenchmarkRequest, found: Sequence[Found]
) -> Planned:
    """Return what a request comes to, with the device and the time."""
    made = benchmarks.plan(request)
    labels = [place.label for place in made.spec.categories]
    images = {label: (each.train, each.test) for label, each in zip(labels, found, strict=True)}
    device = None
    for one in made.missing[:1]:
        device = client.device_of(
            Submission(
                spec=one.spec,
                user="",
                queue=request.scheduling.queue,
                gpus=request.scheduling.gpus or 0,
            )
        )
    return Planned(made, found, client.outlook(made, images), device)


def submit(
    client: Client, benchmarks: Benchmarks, planned: Planned, *, dry_run: bool, wait: bool, push: bool = False
) -> None:
    """Submit a benchmark and say what became of it; with `wait`, watch until it has ended."""
    if dry_run:
        _show_plan(planned)
        return
    if push:
        before_a_submit(client, [each.ref for each in planned.found])
    for each in planned.found:
        if each.here:
            client.hold(each.ref)
    benchmark = benchmarks.submit(planned.plan)
    view = benchmarks.view(benchmark)
    for warning in dict.fromkeys(warnings(client, benchmarks.open_jobs(benchmark)[:1])):
        out.warn(warning)
    if wait:
        from ad_cli.benchmarks.watching import watch_benchmark

        if not out.as_json() and not out.quiet():
            _say_what(planned)
        raise typer.Exit(watch_benchmark(client, benchmarks, benchmark))
    if out.as_json():
        out.data({**words.benchmark_json(view), **_outlook_json(planned)})
    elif out.quiet():
        out.text(benchmark.name)
    else:
        _show_submitted(planned, view)


def _show_submitted(planned: Planned, view: BenchmarkView) -> None:
    name = view.benchmark.name
    out.text(f"{name}  benchmark {words.title(view)}: {view.state}")
    if planned.plan.same is not None:
        out.note(f"it is there already, with {words.sums(view)}; nothing was submitted")
        if view.failed:
            out.note(f"run what failed again: adctl retry {name}")
    else:
        _say_what(planned)
    if view.open:
        out.note(f"watch it with: adctl watch {name}")
    else:
        out.note(f"its numbers: adctl leaderboard {name}")


def _say_what(planned: Planned) -> None:
    for name, value in _told(planned).items():
        out.note(f"{name}: {value}")


def _told(planned: Planned) -> dict[str, str]:
    """Return what can be said before anything runs."""
    missing, every = len(planned.plan.missing), len(planned.plan.spec.cells)
    known = "none known before" if missing == every else f"{every - missing} known before and taken over"
    told = {
        "cells": f"{every}, {known}, {missing} to compute",
        "device": planned.device.words if planned.device is not None else "",
        "time": planned.time,
    }
    if chosen := _on_test(planned):
        told["note"] = f"test images have chosen the settings of {chosen}: selected_on=test"
    return {name: value for name, value in told.items() if value}


def _on_test(planned: Planned) -> str:
    """Name the models whose preset is a published one."""
    published = {one.model for one in planned.plan.wanted if one.published}
    return ", ".join(one.label for one in planned.plan.spec.models if one.label in published)


def _show_plan(planned: Planned) -> None:
    made = planned.plan
    if out.as_json():
        out.data(_plan_json(planned))
        return
    if out.quiet():
        out.text(made.name)
        return
    scheduling = made.spec.scheduling
    out.pairs(
        {
            "name": made.name,
            "models": ", ".join(
                " ".join((one.label, *(f"-S {each}" for each in one.settings))) for one in made.spec.models
            ),
            "seeds": ", ".join(map(str, made.spec.seeds)),
            **_told(planned),
            "time": planned.time or "unknown: nothing like it has run yet",
            "queue": f"{scheduling.queue}, priority {scheduling.priority}",
        }
    )
    known = Counter(cell.category for cell in made.spec.cells if cell.taken is not None)
    each = len(made.spec.models) * len(made.spec.seeds)
    rows = [
        (
            place.label,
            place.data.dataset,
            "-" if one.train is None else str(one.train),
            "-" if one.test is None else str(one.test),
            f"{known[place.label]} of {each}",
        )
        for place, one in zip(made.spec.categories, planned.found, strict=True)
    ]
    out.text("")
    out.table(("CATEGORY", "DATASET", "TRAIN", "TEST", "KNOWN"), rows)
    if made.same is not None:
        out.note(f"{made.name} is this benchmark already; a submit would change nothing")
    out.note("nothing was submitted")


def _plan_json(planned: Planned) -> dict[str, Json]:
    made = planned.plan
    return {
        "name": made.name,
        "exists": made.same is not None,
        "cells": {
            "all": len(made.spec.cells),
            "known": len(made.spec.cells) - len(made.missing),
            "missing": len(made.missing),
        },
        "spec": made.spec.to_json(),
        **_outlook_json(planned),
    }


def _outlook_json(planned: Planned) -> dict[str, Json]:
    seen, device = planned.outlook, planned.device
    return {
        "device": None if device is None else {"kind": device.kind, "words": device.words},
        "estimate": {"seconds": seen.left, "slots": seen.slots, "cells": seen.cells, "of": seen.of},
    }
