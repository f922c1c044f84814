"""Pretrained feature extractors by name, from weights that are already on this machine."""
