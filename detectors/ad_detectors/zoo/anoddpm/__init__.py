"""Noise an image a little with simplex noise, bring it back by diffusion, and see what did not come back."""
