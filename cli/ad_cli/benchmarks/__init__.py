"""Benchmarks on the command line: what is asked of them, how they look, and how they are watched."""
