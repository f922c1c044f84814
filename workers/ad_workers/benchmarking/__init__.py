"""Puts the results of benchmarks together beside a worker: tests between models, and tables."""
