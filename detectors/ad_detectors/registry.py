"""Which detectors there are: the modules in zoo/, and other people's by the entry point "adctl.detectors".

A detector is one file with lazy torch imports, or a package with `config.py` (no torch) and `detector.py`.
Found in it are `Config`, the one subclass of Detector, and, where wanted, PRESETS, DEFAULT_PRESET, PUBLISHED,
RULES, EXCLUSIVE, STAGES, STAGES_WHEN, SPACE, FAMILY, PAPER, SUPERVISED, COST, NO_EXPORT and NO_ATTACK.
Describing a detector imports no torch; listing the names imports nothing of it at all.
"""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from functools import partial
from importlib.metadata import entry_points
from importlib.util import find_spec
from types import ModuleType
from typing import Any, TypeVar

from ad_detectors.api import NOTHING_TO_ATTACK, NOTHING_TO_EXPORT, Detector, Stage
from ad_detectors.config import Paper, Published, build, nearest, to_json
from ad_detectors.errors import BrokenDetector, ConfigError, UnknownDetector
from ad_detectors.rules import Rule, holds, overlaid

GROUP = "adctl.detectors"
ZOO = "ad_detectors.zoo"
T = TypeVar("T")
WHOLE_FIT = "fit"  # the one stage of a detector that declares none


@dataclass(frozen=True, kw_only=True)
class Description:
    """What is known of a detector without torch."""

    name: str
    summary: str
    config: type[Any]
    presets: Mapping[str, Mapping[str, Any]]  # what each sets differently from the defaults
    published: Mapping[str, Published] = field(default_factory=dict)  # presets that depend on the category
    default_preset: str
    stages: tuple[Stage, ...]  # of the default config
    stages_when: tuple[tuple[str, tuple[Stage, ...]], ...] = ()  # others, and the condition for them
    space: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    family: str = ""  # the idea that it shares with others, in a word or two
    paper: Paper | None = None
    supervised: bool = False  # whether it learns from anomalous pictures too, labelled or made up
    cost: str = ""  # what fitting and scoring take, in words
    rules: tuple[Rule, ...] = ()  # what several settings must be together; the Config checks them as well
    exclusive: tuple[tuple[str, ...], ...] = ()  # of each group exactly one setting is not None
    parallel: tuple[str, ...] = ()  # the stages whose steps are spread over several devices
    no_export: str = NOTHING_TO_EXPORT  # why no model of it can be exported; empty where one can
    no_attack: str = NOTHING_TO_ATTACK  # why no evaluation can attack it; empty where one can
    module: str = ""  # the module that holds the Detector subclass

    def stages_of(self, config: Any) -> tuple[Stage, ...]:
        """Return the stages of a config: always those of `stages` by name, though their fields may differ."""
        return next((stages for when, stages in self.stages_when if holds(when, config)), self.stages)


def names() -> list[str]:
    """Return the names of all detectors, sorted, without importing any."""
    return sorted(_modules())


def built_in() -> list[str]:
    """Return the names of the detectors in zoo/ alone."""
    return sorted(_zoo_modules())


def describe(name: str) -> Description:
    """Return what is known of a detector; the name may be in any case.

    Raises UnknownDetector, or BrokenDetector with the reason when it cannot be imported or lacks something.
    """
    # Asking for entry points reads a file of every installed distribution, so ours come first.
    for modules in (_zoo_modules, _modules):
        for known, path in modules().items():
            if known.lower() == name.lower():
                return _guarded(known, partial(_describe, known, path))
    raise UnknownDetector(name, names())


def detector_class(name: str) -> type[Detector]:
    """Return the class of a detector; this is where torch may be imported."""
    description = describe(name)
    return _guarded(description.name, lambda: _subclass(importlib.import_module(description.module)))


def create(name: str, config: Any) -> Detector:
    """Return a new detector for a config: an instance of its Config, or a mapping (gaps take defaults)."""
    kind = detector_class(name)
    if not isinstance(config, Mapping):
        if not isinstance(config, kind.Config):
            raise TypeError(
                f"{name} wants a {kind.Config.__qualname__} or a mapping, not a {type(config).__name__}"
            )
        config = to_json(config)  # an instance made by hand was not checked yet
    return kind(build(kind.Config, config))


def resolve(
    name: str, preset: str | None, overrides: Mapping[str, Any], category: str | None = None
) -> dict[str, Any]:
    """Return the whole flat config of a detector as JSON: defaults, then the preset, then these values.

    Without a preset the detector's default one is taken. A published preset needs the category. Raises
    UnknownDetector or ConfigError.
    """
    known = describe(name)
    chosen = known.default_preset if preset is None else preset
    if chosen in known.published:
        values = known.published[chosen].settings(chosen, category)
    elif chosen in known.presets:
        values = dict(known.presets[chosen])
    else:
        every = [*known.presets, *known.published]
        raise ConfigError(f"{known.name} has no preset '{chosen}'; {nearest(chosen, every)}")
    return to_json(build(known.config, overlaid(values, overrides, known.exclusive)))


def broken() -> dict[str, str]:
    """Return the detectors that cannot be used and why, in one line each."""
    reasons: dict[str, str] = {}
    for name in names():
        try:
            describe(name)
        except BrokenDetector as error:
            reasons[name] = str(error)
    return reasons


def stages_of(kind: type[Detector]) -> tuple[Stage, ...]:
    """Return the stages that a detector declares beside its Config; none if it declares none."""
    return tuple(getattr(sys.modules[kind.Config.__module__], "STAGES", ()))


def parallel_of(kind: type[Detector]) -> tuple[str, ...]:
    """Return the stages that a detector says beside its Config it spreads over ranks; none by itself."""
    return tuple(getattr(sys.modules[kind.Config.__module__], "PARALLEL", ()))


def no_export_of(kind: type[Detector]) -> str:
    """Return why no model of a detector can be exported, as it says beside its Config; empty: one can."""
    return str(getattr(sys.modules[kind.Config.__module__], "NO_EXPORT", NOTHING_TO_EXPORT))


def no_attack_of(kind: type[Detector]) -> str:
    """Return why a detector cannot be attacked, as it says beside its Config; empty: it can."""
    return _no_attack(sys.modules[kind.Config.__module__])


def _modules() -> dict[str, str]:
    """Return name -> module; a detector in zoo/ wins over somebody else's of the same name."""
    return {point.name: point.value for point in entry_points(group=GROUP)} | _zoo_modules()


def _zoo_modules() -> dict[str, str]:
    found = pkgutil.iter_modules(importlib.import_module(ZOO).__path__)
    return {module.name: f"{ZOO}.{module.name}" for module in found if not module.name.startswith("_")}


def _guarded(name: str, find: Callable[[], T]) -> T:
    """Call `find`; whatever goes wrong in somebody's module is the fault of that detector alone."""
    try:
        return find()
    except BrokenDetector:
        raise
    except Exception as error:  # a plug-in may fail in any way and must not take the others along
        first_line = (str(error).splitlines() or [""])[0]
        raise BrokenDetector(name, f"{type(error).__name__}: {first_line}") from error


def _describe(name: str, path: str) -> Description:
    package = importlib.import_module(path)
    split = hasattr(package, "__path__") and find_spec(f"{path}.config") is not None
    module = importlib.import_module(f"{path}.config") if split else package
    config = _checked_config(module)
    default = getattr(module, "DEFAULT_PRESET", "default")
    presets = {**({"default": {}} if default == "default" else {}), **getattr(module, "PRESETS", {})}
    if default not in presets:
        raise ValueError(f"DEFAULT_PRESET is '{default}', which PRESETS lacks")
    every_field = tuple(each.name for each in fields(config))
    known = Description(
        name=name,
        summary=_summary(package if split else _subclass(package)),
        config=config,
        presets=presets,
        published=dict(getattr(module, "PUBLISHED", {})),
        default_preset=default,
        stages=tuple(getattr(module, "STAGES", ())) or (Stage(WHOLE_FIT, every_field),),
        stages_when=tuple((when, tuple(stages)) for when, stages in getattr(module, "STAGES_WHEN", ())),
        space=getattr(module, "SPACE", {}),
        family=str(getattr(module, "FAMILY", "")),
        paper=getattr(module, "PAPER", None),
        supervised=bool(getattr(module, "SUPERVISED", False)),
        cost=str(getattr(module, "COST", "")),
        rules=tuple(getattr(module, "RULES", ())),
        exclusive=tuple(tuple(group) for group in getattr(module, "EXCLUSIVE", ())),
        parallel=tuple(getattr(module, "PARALLEL", ())),
        no_export=str(getattr(module, "NO_EXPORT", NOTHING_TO_EXPORT)),
        no_attack=_no_attack(module),
        module=f"{path}.detector" if split else path,
    )
    _check_stages(known)
    _check_presets(known)
    return known


def _check_stages(known: Description) -> None:
    """See that under every condition the stages are the same by name."""
    names = [stage.name for stage in known.stages]
    for when, stages in known.stages_when:
        if [stage.name for stage in stages] != names:
            raise ValueError(f"STAGES_WHEN must give the stages {', '.join(names)} where {when}")
    if tuple(names[: len(known.parallel)]) != known.parallel:
        raise ValueError(f"PARALLEL must name the first of the stages {', '.join(names)}, in their order")


def _check_presets(known: Description) -> None:
    """Build every preset there is, so that nobody finds out at a submit that one is wrong."""
    if both := sorted(set(known.presets) & set(known.published)):
        raise ValueError(f"PRESETS and PUBLISHED both have '{both[0]}'")
    for values in known.presets.values():
        known.stages_of(build(known.config, values))
    for preset, published in known.published.items():
        if len({category.casefold() for category in published.categories}) < len(published.categories):
            raise ValueError(f"PUBLISHED['{preset}'] has a category twice, in another case")
        known.stages_of(build(known.config, published.base))
        for category in published.categories:
            known.stages_of(build(known.config, published.settings(preset, category)))


def _checked_config(module: ModuleType) -> type[Any]:
    config = getattr(module, "Config", None)
    if not (isinstance(config, type) and is_dataclass(config)):
        raise TypeError(f"{module.__name__} has no dataclass Config")
    parameters = config.__dataclass_params__  # type: ignore[attr-defined]
    if not parameters.frozen or not all(each.kw_only for each in fields(config)):
        raise TypeError("Config must be a dataclass(frozen=True, kw_only=True)")
    if "image_size" not in {each.name for each in fields(config)}:
        raise TypeError("Config must have a field image_size")
    return config


def _subclass(module: ModuleType) -> type[Detector]:
    found = [
        each
        for each in vars(module).values()
        if isinstance(each, type)
        and issubclass(each, Detector)
        and each.__module__ == module.__name__
        and not inspect.isabstract(each)
    ]
    if len(found) != 1:
        raise TypeError(f"{module.__name__} must define one subclass of Detector, not {len(found)}")
    if not isinstance(getattr(found[0], "Config", None), type):
        raise TypeError(f"{found[0].__name__} must name its Config: `Config = Config`")
    return found[0]


def _no_attack(module: ModuleType) -> str:
    """Return why a detector cannot be attacked: what it exports can be, unless it says otherwise."""
    exports = getattr(module, "NO_EXPORT", NOTHING_TO_EXPORT) == ""
    return str(getattr(module, "NO_ATTACK", "" if exports else NOTHING_TO_ATTACK))


def _summary(documented: object) -> str:
    return (inspect.getdoc(documented) or "").partition("\n")[0].strip()
