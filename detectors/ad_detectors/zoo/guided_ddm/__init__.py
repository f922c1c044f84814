"""Let a diffusion model that knows pictures in general rebuild an image, and see what it misses."""
