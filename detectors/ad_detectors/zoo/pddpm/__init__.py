"""Noise one patch of an image after the other and restore it from its surroundings; see what changes."""
