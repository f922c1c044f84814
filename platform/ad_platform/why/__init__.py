"""Why a job is not running, or not yet done: one explanation for `why`, and for what submit warns of."""

from ad_platform.why.causes import Cause, Kind, Reasons
from ad_platform.why.explaining import explain, warnings

__all__ = ["Cause", "Kind", "Reasons", "explain", "warnings"]
