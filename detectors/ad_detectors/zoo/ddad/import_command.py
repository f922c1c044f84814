"""The command that makes a fitted ddad of published checkpoints: `python -m ad_detectors import-ddad`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ad_detectors import config as configs
from ad_detectors import registry
from ad_detectors.errors import ConfigError
from ad_detectors.zoo.ddad.config import Config

if TYPE_CHECKING:
    from ad_detectors.api import State

NAME = "ddad"


def add_to(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to a parser."""
    parser = commands.add_parser(
        "import-ddad", help="make a fitted ddad of checkpoints of the published code"
    )
    parser.add_argument("--unet", type=Path, required=True, metavar="FILE", help="such as screw/2000")
    parser.add_argument(
        "--features", type=Path, metavar="FILE", help="such as screw/feat4; default: unadapted"
    )
    parser.add_argument(
        "--out", type=Path, required=True, metavar="DIR", help="where the fitted detector goes"
    )
    parser.add_argument(
        "--data", type=Path, metavar="DIR", help="the category's folder; without it set compat=true"
    )
    parser.add_argument("--preset", metavar="NAME", help="such as paper; default: the published defaults")
    parser.add_argument("--category", metavar="NAME", help="whose published settings; default: --data's name")
    parser.add_argument("-S", dest="settings", action="append", default=[], metavar="FIELD=VALUE")
    parser.add_argument("--seed", type=int, default=0)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Do what the command line asks; raise a DetectorError for files or settings that do not fit."""
    from ad_detectors.checkpoint import save_model
    from ad_detectors.zoo.ddad import importing

    unet = importing.read(options.unet)
    adapted = importing.read(options.features) if options.features is not None else None
    config = _config(options, importing.width(unet))
    state: dict[str, Any] = {
        **importing.denoiser_state(config, unet),
        **importing.features_state(config, adapted),
    }
    if config.compat:
        state |= importing.compat_score_state(options.seed)
    else:
        state = dict(_scaled(config, state, options))
    # Whoever published it chose its settings, category by category, by test images.
    save_model(options.out, NAME, config, state, selected_on="test")
    sys.stderr.write(f"imported {options.unet}: {options.out}\n")


def _config(options: argparse.Namespace, width: Mapping[str, int]) -> Config:
    """Return the settings: the file's width, unless a person says otherwise, over the preset's."""
    typed: dict[str, str] = {}
    for setting in options.settings:
        field, equals, value = setting.partition("=")
        if not equals:
            raise ConfigError(f"'{setting}' is no setting; write -S FIELD=VALUE")
        typed[field.strip()] = value
    chosen = {**width, **configs.parse(Config, typed)}
    if options.preset is not None:
        category = options.category or (options.data.resolve().name if options.data is not None else None)
        chosen = registry.resolve(NAME, options.preset, chosen, category)
    config = configs.build(Config, chosen)
    if not config.compat and options.data is None:
        raise ConfigError(
            "the weight of pixel distances is fitted on normal images: name them by --data, or set "
            "-S compat=true to weigh by each batch as published"
        )
    assert isinstance(config, Config)
    return config


def _scaled(config: Config, state: State, options: argparse.Namespace) -> State:
    """Fit the last stage, for which the published code has no checkpoint."""
    import torch

    from ad_detectors.data.fingerprint import fingerprint
    from ad_detectors.data.images import train_images
    from ad_detectors.data.layout import open_category
    from ad_detectors.fitting import ContextCore, run_fit

    category = open_category(options.data)
    cache = options.out / "cache"
    images = train_images(
        category, config.image_size, cache, fingerprint(category.path, cache / "fingerprints.json")
    )
    detector = registry.create(NAME, config)
    detector.restore(state)
    context = ContextCore(detector, torch.device("cpu"), options.seed, done=["denoiser", "features"])
    run_fit(detector, images, context)
    return detector.state()
