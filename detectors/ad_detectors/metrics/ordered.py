"""32-bit floats as whole numbers of the same order: those sort, pack and compare by bits alone."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_TOP = np.uint32(1 << 31)


def ordered(values: NDArray[np.float32]) -> NDArray[np.uint32]:
    """Return whole numbers that compare as the floats do; -0.0 and 0.0 are one number. No NaN, please."""
    bits = (values + np.float32(0)).view(np.uint32)  # -0.0 + 0.0 is 0.0
    flip = (bits.view(np.int32) >> 31).view(np.uint32)  # all bits of a negative number, else none
    flip |= _TOP
    bits ^= flip
    return bits


def floats(keys: NDArray[np.uint32]) -> NDArray[np.float32]:
    """Return the floats that `ordered` made these numbers of."""
    negative = (keys & _TOP) == 0
    return np.where(negative, ~keys, keys ^ _TOP).view(np.float32)
