"""Ctrl-C, and what ends a call as Ctrl-C does: raised as Python does, and noted."""

from types import FrameType

came: list[int] = []  # the signals so far


def interrupt(number: int, frame: FrameType | None) -> None:
    """Raise KeyboardInterrupt, and note it: a module that is being imported may make another error of it."""
    came.append(number)
    raise KeyboardInterrupt
