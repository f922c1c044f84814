"""Scoring pictures on this machine with a fitted model; torch is loaded when a model is."""
