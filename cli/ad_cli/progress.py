"""A bar at the bottom of the terminal while many things are done one by one; nothing where there is none."""

from __future__ import annotations

import shutil
import sys
import time
from collections import deque
from collections.abc import Callable

from ad_cli import out, shapes

MANY = 16  # things from which on a bar is worth showing
BAR = 30  # columns
FULL, EMPTY = "━", "─"
EVERY = 0.1  # seconds between two drawings
WINDOW = 60.0  # seconds of the past that a rate without an end is taken over


class Progress:
    """Draws how far things have come on the terminal that stderr is."""

    def __init__(self, of: int | None, clock: Callable[[], float] = time.monotonic) -> None:
        """Draw a bar towards so many, or only the rate where nobody knows how many will come."""
        self._of, self._clock, self._began = of, clock, clock()
        self._lively = out.lively() and not out.quiet() and (of is None or of >= MANY)
        # Rows on the same terminal would stand behind the bar.
        self._shared = self._lively and sys.stdout.isatty()
        self._drawn_at = float("-inf")
        self._seen: deque[tuple[float, int]] = deque([(self._began, 0)])

    def before(self) -> None:
        """Make room for a row."""
        if self._shared:
            self.clear()

    def after(self, count: int, more: str = "") -> None:
        """Draw how many there are now, if it is time to; `more` is said behind it."""
        if not self._lively:
            return
        now = self._clock()
        if self._shared or now - self._drawn_at >= EVERY or count == self._of:
            self._drawn_at = now
            self._draw(self._words(count, now, more))

    def clear(self) -> None:
        """Take the bar away."""
        if self._lively:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()

    def _words(self, count: int, now: float, more: str) -> str:
        if self._of is None:
            return "  ".join(
                filter(None, (f"{count} scored", f"{self._recent(count, now):.1f} images/s", more))
            )
        rate = count / max(now - self._began, 1e-9)
        left = shapes.span((self._of - count) / rate) if rate else "?"
        full = BAR * count // max(self._of, 1)
        bar = FULL * full + EMPTY * (BAR - full)
        return f"{bar}  {count} of {self._of}  {rate:.1f} images/s  {left} left"

    def _recent(self, count: int, now: float) -> float:
        """Return how many came in a second lately."""
        self._seen.append((now, count))
        while len(self._seen) > 2 and now - self._seen[1][0] > WINDOW:
            self._seen.popleft()
        since, before = self._seen[0]
        return (count - before) / max(now - since, 1e-9)

    def _draw(self, words: str) -> None:
        width = shutil.get_terminal_size().columns - 1
        sys.stderr.write(f"\r\x1b[K{words if len(words) <= width else words[BAR + 2 :][:width]}")
        sys.stderr.flush()
