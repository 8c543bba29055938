"""A fitted model as bytes and back, without pickle: nothing in a file can run.

The format is skops' (a zip of JSON and arrays). What may be made of it is a list that stands here, not in the file:
our own estimators, and the parts of scikit-learn they are made of.
"""

from __future__ import annotations

import hashlib
import hmac
from typing import Any, Final

from skops import io as skops_io
from skops.io.exceptions import UntrustedTypesFoundException

from core.errors import ForbiddenError, InvalidInputError

TRUSTED: Final = frozenset(
    {
        "models.normal.behaviour.NormalBehaviour",
        "models.normal.operating.OperatingPoint",
        "models.prognosis.blend.Blend",
        "models.prognosis.calibration.ConformalByRange",
        "models.prognosis.features.TrendFeatures",
        "models.prognosis.regimes.RegimeNormaliser",
        "models.prognosis.regression.LifeRegressor",
        "models.prognosis.signals.WearSignals",
        "models.prognosis.survival.HazardModel",
        "numpy.dtype",
        "sklearn._loss.link.IdentityLink",
        "sklearn._loss.link.Interval",
        "sklearn._loss.loss.HalfSquaredError",
        "sklearn.ensemble._hist_gradient_boosting.binning._BinMapper",
        "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
        "sklearn.neural_network._stochastic_optimizers.AdamOptimizer",
        "sklearn.tree._tree.Tree",
    }
)
"""Beyond what skops itself holds to be safe."""

_LARGEST: Final = 256 << 20


def dump(model: Any) -> bytes:
    """The model as bytes; equal models need not give equal bytes."""
    data: bytes = skops_io.dumps(model)
    return data


def load(data: bytes) -> Any:
    """The model of :func:`dump`.

    Raises :class:`~core.errors.ForbiddenError` when the file asks for a type that is not on the list, and
    :class:`~core.errors.InvalidInputError` when it is no model file.
    """
    if len(data) > _LARGEST:
        raise InvalidInputError(f"a model file of {len(data)} bytes is too large", hint="at most 256 MB")
    try:
        asked = skops_io.get_untrusted_types(data=data)
        unknown = sorted(set(asked) - TRUSTED)
        if unknown:
            raise ForbiddenError(
                f"the model file asks for {', '.join(unknown)}",
                hint="train it anew here; a file from elsewhere is not run",
            )
        return skops_io.loads(data, trusted=asked)
    except (ForbiddenError, InvalidInputError):
        raise
    except UntrustedTypesFoundException as error:
        raise ForbiddenError(f"the model file is not to be trusted: {error}", hint="train it anew here") from error
    except Exception as error:
        raise InvalidInputError(
            f"this is no model file ({type(error).__name__}: {error})", hint="was it cut short?"
        ) from error


def sign(data: bytes, key: bytes) -> bytes:
    """HMAC-SHA-256 of the file under the installation's key: who has no key cannot put a model in its place."""
    return hmac.digest(key, data, hashlib.sha256)


def verify(data: bytes, signature: bytes, key: bytes) -> None:
    """Raises :class:`~core.errors.ForbiddenError` where the signature is not this installation's for this file."""
    if not hmac.compare_digest(sign(data, key), signature):
        raise ForbiddenError(
            "the model file was changed, or signed by another installation",
            hint="train it anew, or restore the key it was signed with",
        )
