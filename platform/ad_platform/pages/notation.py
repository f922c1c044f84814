"""How values are written on pages: as many digits as one reads, times in UTC."""

from datetime import UTC, datetime

from ad_platform.specs import Json


def typed(value: Json) -> str:
    """Return a value as a person would type it."""
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return number(value)
    return ",".join(typed(one) for one in value) if isinstance(value, list) else str(value)


def number(value: float) -> str:
    """Return a number with as many digits as one reads."""
    return f"{value:.5g}" if value == value else "n/a"


def score(value: float) -> str:
    """Return a value of an objective, to four places where it is a share."""
    return f"{value:.4f}" if abs(value) < 10 else number(value)


def moment(at: float | None) -> str | None:
    """Return a time in UTC as axes and tables take it; None stays."""
    if at is None:
        return None
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M:%S")


def duration(seconds: float) -> str:
    """Return how long something took, in words."""
    if seconds < 120:
        return f"{seconds:.0f} s"
    minutes, hours = seconds / 60, seconds / 3600
    if minutes < 60:
        return f"{minutes:.0f} min"
    if hours < 48:
        return f"{int(hours)} h {int(minutes) % 60} min"
    return f"{int(hours / 24)} d {int(hours) % 24} h"
