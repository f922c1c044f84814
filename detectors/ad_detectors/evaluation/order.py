"""The order in which a trial scores anomalous pictures: mixed, fixed, and the same for every trial."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

from ad_detectors.determinism import derive

MIXED_BY = 20_290_303  # a seed; no job's seed changes the order


def mixed(pictures: Sequence[tuple[str, str]]) -> list[int]:
    """Return in which order to score pictures, each given by its kind of defect and its name.

    Those of a kind are shuffled by their names and spread evenly over the whole from a place drawn by the
    kind's name (systematic sampling within strata: Cochran, Sampling Techniques, 1977, chapter 8). So the
    first pictures, however many they are, hold each kind in about its share, and each picture is among them
    as likely as any other. The order is a function of kinds and names alone.
    """
    places: list[tuple[float, int]] = []
    for kind in sorted({kind for kind, _ in pictures}):
        those = [index for index, (of, _) in enumerate(pictures) if of == kind]
        those.sort(key=lambda index: (_drawn("picture", *pictures[index]), index))
        first = _drawn("kind", kind) / 2**63
        places += [((rank + first) / len(those), index) for rank, index in enumerate(those)]
    return [index for _, index in sorted(places)]


def _drawn(*names: str) -> int:
    # Composed as in a fingerprint: equal images must come in the same order on every system.
    return derive(MIXED_BY, *(unicodedata.normalize("NFC", name) for name in names))
