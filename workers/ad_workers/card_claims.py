"""Keeps two workers of one machine from giving out the same card, whichever store or home they have."""

import socket
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field

from ad_platform.errors import Conflict
from ad_workers.gpu import Gpu


@dataclass
class Claims:
    """The cards that this process has claimed: a name for each in the kernel, which ends with the process.

    Seen by processes of the same network namespace, on Linux; elsewhere nothing is claimed, nor refused.
    """

    held: dict[str, socket.socket] = field(default_factory=dict)

    def take(self, gpus: Sequence[Gpu], slots: int | None) -> list[Gpu]:
        """Claim as many of these cards as there are to be slots, the first that are free, and return them.

        Raises Conflict, having claimed none, where other workers have too many of them.
        """
        wanted = len(gpus) if slots is None else slots
        mine: list[Gpu] = []
        for gpu in gpus:
            if len(mine) < wanted and self._claim(gpu):
                mine.append(gpu)
        if not mine or (slots is not None and len(mine) < slots):
            self.close()
            left = f"only {len(mine)} of {len(gpus)} cards here are" if mine else "no card here is"
            raise Conflict(
                f"{left} free of other workers (adctl worker list); stop one, give it fewer --slots, or "
                "start this one on the CPU: CUDA_VISIBLE_DEVICES= adctl worker start"
            )
        return mine

    def close(self) -> None:
        """Let the cards go."""
        for name in self.held.values():
            name.close()
        self.held.clear()

    def _claim(self, gpu: Gpu) -> bool:
        if sys.platform != "linux":
            return True
        name = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        try:
            name.bind(f"\0adctl-card-{gpu.uuid}")  # the zero keeps it out of the file system
        except OSError:
            name.close()
            return False
        self.held[gpu.uuid] = name
        return True
