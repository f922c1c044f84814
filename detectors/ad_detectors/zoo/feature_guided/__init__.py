"""Noise an image strongly, bring it back led by its own coarse features, and see what did not come back."""
