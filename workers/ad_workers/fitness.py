"""Looks whether this machine can compute: its cards against its torch, and the weights detectors ask for."""

from collections.abc import Iterator, Mapping
from pathlib import Path

from ad_detectors import catalogue
from ad_detectors.backbones.weights import WHEELS, Places, locate
from ad_detectors.errors import WeightsNotFound
from ad_platform.doctor.findings import Finding, ok, problem, warning
from ad_platform.settings import Settings
from ad_workers.machine import Machine, look

NONE = "none"  # how a config says that it wants no backbone


def cards(machine: Machine | None = None) -> Iterator[Finding]:
    """Say what this machine computes on; a card that cannot be used is a problem."""
    found = (machine or look(trial=None)).devices
    if not found.torch:
        yield ok("devices", "torch is not installed: this machine submits and looks, others compute")
        return
    for card in found.cards:
        if card.problem:
            said, _, remedy = card.problem.partition("; ")
            yield problem("devices", f"{card.name} cannot be used: {said}", remedy)
        else:
            yield ok(
                "devices",
                f"{card.name}, {card.memory_mb / 1024:.0f} GB, driver {found.driver} for CUDA "
                f"{found.driver_cuda}, torch {found.torch}",
            )
    if not found.cards:
        on = "Metal" if found.metal else "the CPU: there is no CUDA card here"
        yield ok("devices", f"torch {found.torch} computes on {on}")


def weights(settings: Settings, *, computes: bool) -> Iterator[Finding]:
    """Say for each backbone of a preset whether its weights lie here; a default preset needs them first."""
    folder = settings.weights
    if folder is not None and not folder.is_dir():
        yield problem("weights", f"ADCTL_WEIGHTS names {folder}, which is no folder", "make it, or unset it")
    if not computes:
        yield ok("weights", "none are needed where nothing is computed")
        return
    here = []
    for backbone, (defaults, others) in backbones(catalogue.build()).items():
        try:
            file = locate(backbone, hub_of(backbone), Places(folder=folder)).path
        except WeightsNotFound:
            yield _missing(backbone, defaults, others)
        else:
            here.append(f"{backbone} ({'wheel' if 'site-packages' in file.parts else file.parent})")
    if here:
        yield ok("weights", f"found {', '.join(here)}")


def backbones(entries: Mapping[str, Mapping[str, object]]) -> dict[str, tuple[list[str], list[str]]]:
    """Return each backbone that a preset names with the detectors and presets: default ones, and others."""
    found: dict[str, tuple[list[str], list[str]]] = {}
    for name, entry in entries.items():
        presets = entry.get("presets")
        published = entry.get("published")
        configs = dict(presets) if isinstance(presets, Mapping) else {}
        if isinstance(published, Mapping):
            configs |= {preset: values["base"] for preset, values in published.items()}
        for preset, config in configs.items():
            backbone = config.get("backbone")
            if not isinstance(backbone, str) or backbone == NONE:
                continue
            defaults, others = found.setdefault(backbone, ([], []))
            (defaults if preset == entry.get("default_preset") else others).append(f"{name} {preset}")
    return found


def hub_of(backbone: str) -> str | None:
    """Return the repository of a timm model on Hugging Face without loading timm: its name is the model's.

    A name without a tag stands for the model's default weights, which only timm knows: what the cache holds
    of that model is taken.
    """
    if "." in backbone:
        return f"timm/{backbone}"
    from huggingface_hub.constants import HF_HUB_CACHE

    cached = sorted(Path(HF_HUB_CACHE).glob(f"models--timm--{backbone}.*"))
    return f"timm/{cached[0].name.removeprefix('models--timm--')}" if cached else f"timm/{backbone}"


def _missing(backbone: str, defaults: list[str], others: list[str]) -> Finding:
    wheel = WHEELS.get(backbone.partition(".")[0])
    first = f"pip install {wheel.package}" if wheel else f"hf download {hub_of(backbone)}"
    remedy = f"{first}, or put {backbone}.safetensors into ADCTL_WEIGHTS"
    if defaults:
        return warning("weights", f"none for {backbone}, which {' and '.join(defaults)} starts from", remedy)
    few = ", ".join(others[:3]) + (", ..." if len(others) > 3 else "")
    return ok("weights", f"none for {backbone}, needed for {few} alone ({remedy})")
