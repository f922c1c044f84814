"""Synthetic defects planted into normal images, for measuring and for detectors that learn from them."""

from ad_detectors.data.defects.planting import KINDS, Spoiled, kinds_of, spoil

__all__ = ["KINDS", "Spoiled", "kinds_of", "spoil"]
