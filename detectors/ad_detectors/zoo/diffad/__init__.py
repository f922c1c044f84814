"""Draw the normal image that belongs to one, by diffusion in latents; a network marks the difference."""
