"""Matrix products whose rows do not depend on their company."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]

_BLOCK: Final = 32
"""Rows of a product. A BLAS chooses its kernel by the shape: with one shape always, a row gives the same bits whatever
stands beside it, so a replay that cuts the stream otherwise agrees."""


def product(x: FloatArray, matrix: FloatArray) -> FloatArray:
    """``x @ matrix`` for x [n, m], in blocks of equal shape.

    >>> product(np.ones((3, 2)), np.eye(2)).shape
    (3, 2)
    """
    n, m = x.shape
    blocks = max(-(-n // _BLOCK), 1)
    padded = np.zeros((blocks * _BLOCK, m))
    padded[:n] = x
    out: FloatArray = np.matmul(padded.reshape(blocks, _BLOCK, m), matrix).reshape(blocks * _BLOCK, -1)[:n]
    return out
