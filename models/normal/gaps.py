"""What the sensors that are known say, where some are not."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]


def filled(
    away: FloatArray, known: BoolArray, variance: FloatArray, axes: FloatArray
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """(diagonal of P, P r, r' P r) of the known sensors alone, [rows, m], [rows, m], [rows]; 1 and 0 where unknown.

    ``away`` is 0 where unknown. With P of all sensors and the unknown ones M, the inverse covariance of the others is
    ``P_OO − P_OM P_MM⁻¹ P_MO``; one small system per row, so a row does not depend on its company.
    """
    m = axes.shape[0]
    whole = np.einsum("ik,rk,jk->rij", axes, 1.0 / variance, axes, optimize=False)
    other = ~known
    block = np.where(other[:, :, None] & other[:, None, :], whole, np.eye(m))
    cross = np.where(other[:, :, None] & known[:, None, :], whole, 0.0)
    kept = np.where(known[:, :, None] & known[:, None, :], whole, 0.0)
    reduced = kept - np.matmul(cross.transpose(0, 2, 1), np.linalg.solve(block, cross))
    weighted = np.matmul(reduced, away[:, :, None])[:, :, 0]
    diagonal = np.where(known, np.einsum("rii->ri", reduced), 1.0)
    return np.maximum(diagonal, 1e-300), weighted, (weighted * away).sum(1)
