"""What a tour leaves on the screen or as JSON: the contest, the pictures, and how to go on and to stop."""

import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ad_cli import out
from ad_cli.quickstart.contest import BETTER_BY, RULE, Contender
from ad_cli.quickstart.steps import Tour
from ad_cli.shapes import span
from ad_platform.results import result_of
from ad_platform.settings import Settings
from ad_platform.specs import Json

if TYPE_CHECKING:
    from ad_workers.predicting.rows import Prediction

COLUMNS = ("DETECTOR", "VALIDATION", "TEST", "PIXELS", "TRAINED IN", "AN IMAGE")
MEASURES = (BETTER_BY, "test/image_auroc", "test/pixel_auroc")
WIDTH = 80


def tell(settings: Settings, tour: Tour) -> None:
    """Print what a tour has seen."""
    if out.as_json():
        out.data(as_json(settings, tour))
    elif out.quiet():
        out.text(f"{tour.champion.model}@{tour.champion.alias}")
    else:
        _tell_all(settings, tour)


def as_json(settings: Settings, tour: Tour) -> Json:
    """Return a tour as JSON."""
    return {
        "home": str(settings.home),
        "ui": tour.running.ui,
        "data": str(tour.screws.folder),
        "detectors": [_contender_json(each) for each in tour.contenders],
        "chosen_by": RULE,
        "champion": {
            "model": tour.champion.model,
            "alias": tour.champion.alias,
            "job": tour.champion.job_id,
            "revision": tour.champion.revision,
        },
        "images": [_prediction_json(each) for each in tour.seen.predictions],
        "heat_maps": str(tour.seen.folder),
        "seconds": {**tour.seconds},
    }


def _prediction_json(each: "Prediction") -> Json:
    return {
        "path": str(each.path),
        "score": each.score,
        "decision": each.decision or None,
        "heat_map": each.overlay or None,
    }


def _contender_json(each: Contender) -> Json:
    return {
        "detector": each.detector,
        "train": each.train.id,
        "evaluate": each.evaluate.id,
        "metrics": {**result_of(each.evaluate).metrics},
        "ms_per_image": each.ms_per_image,
    }


def _tell_all(settings: Settings, tour: Tour) -> None:
    champion, seen = tour.champion, tour.seen
    out.note("\nimage AUROC on pictures held out (validation) and on test pictures; of pixels:")
    out.table(COLUMNS, contest_rows(tour.contenders))
    out.note("ddad has trained for seconds here (tiny): that it works is seen, not how well")
    out.note(f"\n{champion.model}@{champion.alias} on a good, a broken and a rusty screw:")
    out.table(
        ("SCORE", "DECISION", "IMAGE", "HEAT MAP"), [_prediction_row(tour, each) for each in seen.predictions]
    )
    for words in (seen.threshold, seen.colours):
        out.note(textwrap.fill(words, WIDTH, break_on_hyphens=False))
    out.note("")
    for name, words in _way_on(settings, tour).items():
        out.note(f"{name:<11}{words}")


def _way_on(settings: Settings, tour: Tour) -> dict[str, str]:
    ui = tour.running.ui
    return {
        "took": span(sum(tour.seconds.values())),
        "heat maps": str(tour.seen.folder),
        "MLflow": f"{ui} (its first page may take half a minute)" if ui else settings.tracking_uri,
        "your own": f"adctl submit train --model {tour.chosen.detector} --data DIR",
        "predict": f"adctl predict {tour.champion.model} IMAGE --out DIR",
        "all jobs": "adctl list",
        "stop": "adctl down",
    }


def _prediction_row(tour: Tour, each: "Prediction") -> tuple[str, ...]:
    image = Path(each.path).relative_to(tour.screws.folder).as_posix()
    painted = Path(each.overlay).relative_to(tour.seen.folder).as_posix() if each.overlay else "-"
    return (f"{each.score:.4g}", each.decision or "-", image, painted)


def contest_rows(contenders: Sequence[Contender]) -> list[tuple[str, ...]]:
    """Return a row below COLUMNS for each detector."""
    return [
        (
            each.detector,
            *(_measure(each, name) for name in MEASURES),
            _fit_words(each),
            f"{each.ms_per_image:.0f} ms",
        )
        for each in contenders
    ]


def _measure(each: Contender, name: str) -> str:
    value = result_of(each.evaluate).metrics.get(name)
    return "n/a" if value is None else f"{value:.3f}"


def _fit_words(each: Contender) -> str:
    took = each.train.result.get("fit_seconds")
    return f"{took:.0f} s" if isinstance(took, int | float) else "-"
