"""Durable searches over settings: planned by a client, advanced by workers, sampled by Optuna."""
