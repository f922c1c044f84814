"""Diffusion processes as pure functions: schedules, losses, reconstructions."""
