"""Draws lines in place on a terminal; the only file that loads rich."""

from collections.abc import Sequence
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.live import Live
from rich.text import Text


class Bars:
    """Lines at the bottom of the terminal that stderr is, drawn anew in place and gone at the end."""

    def __init__(self) -> None:
        self._console = Console(stderr=True, highlight=False, soft_wrap=True)
        self._live = Live(console=self._console, auto_refresh=False, transient=True, vertical_overflow="crop")

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live.stop()

    @property
    def size(self) -> tuple[int, int]:
        """Return the terminal's columns and lines as they are now."""
        return self._console.size.width, self._console.size.height

    def show(self, lines: Sequence[str]) -> None:
        """Put these lines where the last ones are."""
        drawn = Text("\n").join(Text.from_ansi(line) for line in lines)
        drawn.no_wrap = True
        self._live.update(drawn, refresh=True)
