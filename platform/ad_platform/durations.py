"""Lengths of time as people write them: 90s, 30m, 2h, 1h30m, 2d."""

import re

from ad_platform.errors import InvalidValue

UNITS = {"d": 86400.0, "h": 3600.0, "m": 60.0, "s": 1.0}
LONGEST = 366 * UNITS["d"]
_WHOLE = re.compile(r"(?:\d+(?:\.\d+)?[dhms])+")
_PART = re.compile(r"(\d+(?:\.\d+)?)([dhms])")


def seconds(text: str) -> float:
    """Return the seconds of a length of time, such as 5400 for 1h30m; raise InvalidValue."""
    lean = text.strip().lower().replace(" ", "")
    if not _WHOLE.fullmatch(lean):
        hint = f"; is it {lean}s, {lean}m or {lean}h?" if re.fullmatch(r"\d+(\.\d+)?", lean) else ""
        raise InvalidValue(f"'{text}' is not a length of time, such as 90s, 30m, 2h, 1h30m or 2d{hint}")
    return within(sum(float(number) * UNITS[unit] for number, unit in _PART.findall(lean)), text)


def within(length: float, text: str = "") -> float:
    """Return seconds that can be a limit; raise InvalidValue for others."""
    if not 1.0 <= length <= LONGEST:
        raise InvalidValue(f"a length of time must be from 1s to 366d, not {text or f'{length:g} s'}")
    return length


def exact(length: float) -> str:
    """Return seconds as `seconds` reads them back, to a thousandth: 1h30m, 90.5s."""
    left, words = round(length, 3), ""
    for unit, size in UNITS.items():
        count = left if unit == "s" else left // size
        left = round(left - count * size, 3)
        if count:
            words += f"{count:.15g}{unit}"
    return words or "0s"
