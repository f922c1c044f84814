"""The command that measures categories as the proof of concept does: `python -m ad_detectors guided-ddm`."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from ad_detectors import config as configs
from ad_detectors import registry
from ad_detectors.errors import ConfigError
from ad_detectors.zoo.guided_ddm.config import Config

NAME = "guided_ddm"


def add_to(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to a parser."""
    parser = commands.add_parser(
        "guided-ddm", help="rebuild test images by a ready diffusion model: a table and sample pictures"
    )
    parser.add_argument(
        "--data", type=Path, required=True, metavar="DIR", help="a category's folder, or one of categories"
    )
    parser.add_argument("--out", type=Path, default=Path("output"), metavar="DIR", help="default: output")
    parser.add_argument("--preset", metavar="NAME")
    parser.add_argument("-S", dest="settings", action="append", default=[], metavar="FIELD=VALUE")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, mps or CUDA indices")
    parser.add_argument(
        "--keep", action="store_true", help="leave categories alone that results.csv has a row of"
    )
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Do what the command line asks; raise a DetectorError for folders or settings that will not do."""
    from ad_detectors.data.layout import categories_in
    from ad_detectors.zoo.guided_ddm import experiment

    typed: dict[str, str] = {}
    for setting in options.settings:
        field, equals, value = setting.partition("=")
        if not equals:
            raise ConfigError(f"'{setting}' is no setting; write -S FIELD=VALUE")
        typed[field.strip()] = value
    config = registry.resolve(NAME, options.preset, configs.parse(Config, typed))
    categories = [options.data]
    if not (options.data / "train").is_dir() and options.data.is_dir():
        categories = categories_in(options.data) or categories
    asked = experiment.Experiment(
        config=config,
        out=options.out,
        seed=options.seed,
        device=options.device,
        overwrite=not options.keep,
    )
    for made in experiment.run([each.resolve() for each in categories], asked):
        sys.stderr.write(f"measured: {made}\n")
    sys.stdout.write(f"{options.out / experiment.TABLE}\n")
