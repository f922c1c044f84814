"""Durable comparisons of models on the same categories and seeds: planned whole, made of ordinary jobs."""
