"""Simplex noise in octaves: fields that look like clouds, on any device and for many seeds at once."""

from ad_detectors.diffusion.simplex.fields import Octaves, fields

__all__ = ["Octaves", "fields"]
