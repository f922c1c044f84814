"""Every error the detectors library raises on purpose.

DetectorError
├── UnknownDetector   no detector of that name
├── BrokenDetector    a detector that cannot be imported or lacks something
├── ConfigError       a field that does not exist, or a value outside its range
├── DataError         a folder or file of images that cannot be used; names it
│   ├── BadPicture     one file that gives no pixels
│   └── NoRoom         the disk is full
├── WeightsNotFound   pretrained weights that are nowhere on this machine
├── StateError        a state that does not belong to this detector or config
├── NotFinite         the numbers left the reals
├── NotExportable     a model that no file for other programs can hold; says why
├── NotAttackable     a detector whose score has no gradient to attack it by; says why
├── Peeked            a detector looked at what it was not handed
└── DeviceError       a device that was asked for and cannot be used
"""

from collections.abc import Iterable
from difflib import get_close_matches


class DetectorError(Exception):
    """Something a person can act on; its text is one line that says what to do."""


class UnknownDetector(DetectorError):
    """No detector of that name; names the nearest."""

    def __init__(self, name: str, known: Iterable[str]) -> None:
        self.name, self.known = name, sorted(known)
        near = get_close_matches(name.lower(), self.known, n=3)
        hint = f"did you mean {' or '.join(near)}?" if near else f"there are: {', '.join(self.known)}"
        super().__init__(f"no detector named '{name}'; {hint}")


class BrokenDetector(DetectorError):
    """A detector that cannot be imported or lacks something it must have; says what."""

    def __init__(self, name: str, reason: str) -> None:
        self.name, self.reason = name, reason
        super().__init__(f"detector '{name}' cannot be used: {reason}")


class ConfigError(DetectorError):
    """A field that does not exist, or a value outside its range."""


class DataError(DetectorError):
    """A folder or file of images that cannot be used; the message names it."""


class BadPicture(DataError):
    """One file that gives no pixels; says why and what to do."""

    def __init__(self, path: object, reason: str, advice: str = "replace or remove it") -> None:
        self.reason, self.advice = reason, advice
        super().__init__(f"cannot read picture {path}: {reason}; {advice}")


class NoRoom(DataError):
    """The disk is full; what was begun there is gone again."""


class WeightsNotFound(DetectorError):
    """Pretrained weights that are nowhere on this machine; the message says how to get them."""


class StateError(DetectorError):
    """A state that does not belong to this detector or config."""


class NotExportable(DetectorError):
    """A model that no file for other programs can hold; says why, and what to do instead."""


class NotAttackable(DetectorError):
    """A detector whose score nothing can attack by its gradient; says why."""


class NotFinite(DetectorError):
    """A loss or score became infinite or not a number."""


class Peeked(DetectorError):
    """A detector looked at what it was not handed; the message names the detector, the file and the rule."""


class DeviceError(DetectorError):
    """A device that was asked for and cannot be used; the message says why."""
