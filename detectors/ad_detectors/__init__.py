"""The eyes: detectors of visual anomalies, usable with or without the platform.

`load` gives a fitted model that scores pictures: see `ad_detectors.usage`. It is imported when it is asked
for, since to look a detector up takes neither numpy nor torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ad_detectors.usage.model import Model, load
    from ad_detectors.usage.result import Result

__all__ = ["Model", "Result", "load"]

_PLACES = {"Model": "usage.model", "Result": "usage.result", "load": "usage.model"}


def __getattr__(name: str) -> Any:
    if name in _PLACES:
        return getattr(import_module(f"{__name__}.{_PLACES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
