"""Synthetic defects planted into normal images, for measuring and for detectors that learn from them."""

from ad_detectors.data.defects.planting import KINDS, Spoiled, spoil

__all__ = ["KINDS", "Spoiled", "spoil"]
