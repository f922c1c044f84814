"""Exporting a fitted model to a file that other programs run; torch is loaded when a model is."""
