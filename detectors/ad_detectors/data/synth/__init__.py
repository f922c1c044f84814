"""A category of screws that never were: drawn from a seed, with defects whose masks are exact."""

from ad_detectors.data.synth.category import make

__all__ = ["make"]
