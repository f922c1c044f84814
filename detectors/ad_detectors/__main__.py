"""The detectors without the platform: `python -m ad_detectors fit ddad --data DIR --out DIR`."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ad_detectors import catalogue, config, cpus, heap, registry
from ad_detectors.data import commands as data_commands
from ad_detectors.data.splits import DEFAULT, NONE, Holdout
from ad_detectors.errors import ConfigError, DetectorError
from ad_detectors.zoo.ddad import import_command
from ad_detectors.zoo.guided_ddm import experiment_command

USAGE_ERROR = 2

# Read when torch is loaded, which is later: threads that spin while they wait slow a shared machine tenfold.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


def main(arguments: Sequence[str] | None = None) -> int:
    """Do what the command line asks and return the exit code; a user's mistake is one line on stderr."""
    options = _parser().parse_args(arguments)
    heap.keep_freed()
    try:
        options.run(options)
    except DetectorError as error:
        sys.stderr.write(f"error: {error}\n")
        return USAGE_ERROR
    except BrokenPipeError:  # `... | head`
        return 0
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m ad_detectors", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    fit = commands.add_parser("fit", help="fit a detector to a category; called again it goes on")
    fit.add_argument("name", metavar="NAME")
    fit.add_argument("--data", type=Path, required=True, metavar="DIR", help="the category's folder")
    fit.add_argument(
        "--out",
        type=Path,
        metavar="DIR",
        help="where the fitted detector goes; NAME-CATEGORY here without it",
    )
    fit.add_argument("--preset", metavar="NAME")
    fit.add_argument("-S", dest="settings", action="append", default=[], metavar="FIELD=VALUE")
    fit.add_argument("--seed", type=int, default=0)
    fit.add_argument(
        "--holdout",
        metavar="V/C|none",
        help="percent of the normal pictures kept from training to validate and to calibrate on; "
        "10/10, or none for a published preset",
    )
    fit.add_argument(
        "--threads", type=int, help="default: one for each CPU; the same number gives the same bits"
    )
    fit.add_argument("--every", type=int, default=100, metavar="N", help="steps between checkpoints")
    fit.add_argument("--device", default="auto", help="auto, cpu, cuda, mps or CUDA indices")
    fit.set_defaults(run=_fit)

    score = commands.add_parser("score", help="score pictures with a fitted detector")
    score.add_argument("model", type=Path, metavar="MODEL_DIR")
    score.add_argument("pictures", type=Path, nargs="+", metavar="PICTURE|DIR")
    score.add_argument("--json", action="store_true")
    score.add_argument("--device", default="auto")
    score.set_defaults(run=_score)

    evaluate = commands.add_parser("evaluate", help="evaluate a fitted detector on a category's test split")
    evaluate.add_argument("model", type=Path, metavar="MODEL_DIR")
    evaluate.add_argument("--data", type=Path, required=True, metavar="DIR")
    evaluate.add_argument("--out", type=Path, metavar="DIR", help="for results.csv and scores.csv")
    evaluate.add_argument("--device", default="auto")
    evaluate.set_defaults(run=_evaluate)

    import_command.add_to(commands)
    experiment_command.add_to(commands)
    data_commands.add_to(commands)
    commands.add_parser("detectors", help="list the detectors").set_defaults(run=_detectors)
    commands.add_parser("catalogue", help="print the catalogue as JSON").set_defaults(run=_catalogue)
    return parser


def _fit(options: argparse.Namespace) -> None:
    known = registry.describe(options.name)
    typed = config.parse(known.config, _pairs(options.settings))
    category = os.path.basename(os.path.abspath(options.data))  # noqa: PTH100, PTH119 - a link keeps its name
    resolved = registry.resolve(options.name, options.preset, typed, category)
    published = (options.preset or known.default_preset) in known.published
    usual = NONE if published else DEFAULT
    from ad_detectors.local import fit_local

    out = options.out or Path(f"{known.name}-{category}")
    fit_local(
        options.name,
        resolved,
        options.data,
        out,
        seed=options.seed,
        device=options.device,
        threads=options.threads or cpus.usable(),
        every=max(1, options.every),
        holdout=usual if options.holdout is None else Holdout.parse(options.holdout),
        selected_on="test" if published else "none",
        told=lambda step, of, metrics: _say(
            f"\r{step}/{of} " + " ".join(f"{name} {value:.4g}" for name, value in metrics.items())
        ),
    )
    _say(f"\nfitted {known.name}: {out}\n")


def _score(options: argparse.Namespace) -> None:
    from ad_detectors.local import score_local

    scores = score_local(_model(options), options.pictures)
    if options.json:
        _print([{"path": str(each.path), "score": each.score} for each in scores])
    else:
        for each in scores:
            sys.stdout.write(f"{each.score:.6g}\t{each.path}\n")


def _evaluate(options: argparse.Namespace) -> None:
    from ad_detectors.data.splits import NONE
    from ad_detectors.evaluation import write_results
    from ad_detectors.local import ABOUT, evaluate_local, holdout_of

    model, holdout = _model(options), NONE
    if (options.model / ABOUT).exists():
        holdout = holdout_of(options.model)
    else:
        _say(f"{options.model} does not say what was held out of its fit: the test split alone is measured\n")
    evaluation = evaluate_local(model, options.data, options.model / "cache", holdout)
    if options.out is not None:
        write_results(evaluation, options.out, options.data.resolve().name)
    _print(evaluation.to_json())


def _detectors(options: argparse.Namespace) -> None:
    del options
    broken = registry.broken()
    for name in registry.names():
        said = f"broken: {broken[name]}" if name in broken else registry.describe(name).summary
        sys.stdout.write(f"{name}\t{said}\n")


def _catalogue(options: argparse.Namespace) -> None:
    del options
    _print(catalogue.build())


def _model(options: argparse.Namespace) -> Any:
    from ad_detectors.checkpoint import load_model
    from ad_detectors.device import choose

    return load_model(options.model, choose(options.device).device)


def _pairs(settings: Sequence[str]) -> dict[str, str]:
    pairs: dict[str, str] = {}
    for setting in settings:
        field, equals, value = setting.partition("=")
        if not equals:
            raise ConfigError(f"'{setting}' is no setting; write -S FIELD=VALUE")
        pairs[field.strip()] = value
    return pairs


def _print(value: object) -> None:
    sys.stdout.write(json.dumps(value, indent=1) + "\n")


def _say(words: str) -> None:
    sys.stderr.write(words)
    sys.stderr.flush()


if __name__ == "__main__":
    raise SystemExit(main())
