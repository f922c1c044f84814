"""How a holdout is written; the platform carries the text, the detectors library splits pictures by it."""

import re

from ad_platform.errors import InvalidValue

NONE = "none"
DEFAULT = "10/10"  # percent of the normal training pictures for validation, and for calibration
PERCENTS = re.compile(r"(\d{1,2}(?:\.\d{1,3})?)/(\d{1,2}(?:\.\d{1,3})?)", re.ASCII)


def canonical(text: str) -> str:
    """Return the one way to write a holdout, so that equal jobs have equal keys; raise InvalidValue."""
    if text == NONE:
        return NONE
    found = PERCENTS.fullmatch(text)
    if found is None:
        raise InvalidValue(f"a holdout is two percentages such as {DEFAULT}, or {NONE}, not '{text}'")
    thousandths = [round(float(percent) * 1000) for percent in found.groups()]
    if sum(thousandths) >= 100_000:
        raise InvalidValue(f"a holdout of {text} leaves nothing to learn from; give less than 100 together")
    if not any(thousandths):
        return NONE
    return "/".join(f"{number / 1000:g}" for number in thousandths)
