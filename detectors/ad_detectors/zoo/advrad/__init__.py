"""Noise an image a little, restore it at once, and see at several scales where it changed; hard to attack."""
