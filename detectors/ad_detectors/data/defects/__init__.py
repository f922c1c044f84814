"""Synthetic defects planted into normal images, for measuring and for detectors that learn from them."""

from ad_detectors.data.defects.planting import EVERY_KIND, KINDS, Spoiled, kinds_of, spoil

__all__ = ["EVERY_KIND", "KINDS", "Spoiled", "kinds_of", "spoil"]
