"""What the store promises to who watches over it; the rules at the top of `contract.py` hold here too."""

from abc import ABC, abstractmethod

from ad_platform.fleet import Figures


class Telemetry(ABC):
    """Numbers of the whole fleet."""

    @abstractmethod
    def figures(self) -> Figures:
        """Return how the fleet stands: cheap enough for every few seconds beside a million jobs."""
