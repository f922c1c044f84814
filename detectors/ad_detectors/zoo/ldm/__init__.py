"""Find latents that a diffusion model did not expect, draw them anew, and see what changes in the image."""
