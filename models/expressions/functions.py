"""The functions a formula may call: their parameters, what they do in words, and what runs them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np

from models.expressions import truth
from models.expressions.learning import Baseline, BaselineOf, Expected
from models.expressions.operators import Accumulate, Count, Ewma, EwmStd, Held, LastKnown, Operator, Since, SlopeWhile
from models.expressions.samples import MOST_SAMPLES, Last, Tally
from models.expressions.windows import CountOver, Duty, Lag, Over

ParameterKind = Literal["value", "condition", "duration", "number", "values"]


@dataclass(frozen=True, slots=True)
class Parameter:
    """``values`` takes all that follow. One with a ``default`` may be left out."""

    name: str
    kind: ParameterKind = "value"
    required: bool = True
    most: int = 0
    """Of a ``number``: a whole one from 3 up to this."""


@dataclass(frozen=True, slots=True)
class Function:
    """``pure`` works on arrays; ``make`` builds the operator from the instance count and the constants (durations in
    µs)."""

    name: str
    parameters: tuple[Parameter, ...]
    doc: str
    pure: Callable[..., Any] | None = None
    make: Callable[..., Operator] | None = None
    boolean: bool = False

    @property
    def signature(self) -> str:
        shown = [
            f"{p.name}…" if p.kind == "values" else p.name if p.required else f"[{p.name}]" for p in self.parameters
        ]
        return f"{self.name}({', '.join(shown)})"


def _x(*names: str) -> tuple[Parameter, ...]:
    return tuple(Parameter(name) for name in names)


_X: Final = Parameter("x")
_C: Final = Parameter("c", "condition")
_D: Final = Parameter("d", "duration")
_LEARN: Final = Parameter("learn", "duration")
_FREEZE: Final = Parameter("freeze", "condition", required=False)
_N: Final = Parameter("n", "number", most=MOST_SAMPLES)


def _smallest(*xs: Any) -> Any:
    result = xs[0]
    for x in xs[1:]:
        result = np.minimum(result, x)
    return result


def _largest(*xs: Any) -> Any:
    result = xs[0]
    for x in xs[1:]:
        result = np.maximum(result, x)
    return result


def _over(what: str) -> Callable[[int, int], Operator]:
    return lambda k, d: Over(k, d, what)


def _lag(what: str) -> Callable[[int, int], Operator]:
    return lambda k, d: Lag(k, d, what)


def _last(what: str) -> Callable[[int, int], Operator]:
    return lambda k, n: Last(k, n, what)


def _table(x: Any, *nodes: Any) -> Any:
    return truth.interpolate(x, np.array(nodes[0::2], float), np.array(nodes[1::2], float))


_ALL: Final = (
    # without memory
    Function("abs", _x("x"), "Absolute value.", pure=np.abs),
    Function("sqrt", _x("x"), "Square root; unknown below 0.", pure=np.sqrt),
    Function("exp", _x("x"), "e to the power of x.", pure=truth.exp),
    Function("log", _x("x"), "Natural logarithm; unknown at and below 0.", pure=truth.log),
    Function("log10", _x("x"), "Decimal logarithm; unknown at and below 0.", pure=truth.log10),
    Function("sign", _x("x"), "−1, 0 or 1.", pure=np.sign),
    Function("sin_deg", _x("degrees"), "Sine of an angle in degrees.", pure=truth.sin_deg),
    Function("cos_deg", _x("degrees"), "Cosine of an angle in degrees.", pure=truth.cos_deg),
    Function("min", (Parameter("x"), Parameter("others", "values")), "Smallest of its arguments.", pure=_smallest),
    Function("max", (Parameter("x"), Parameter("others", "values")), "Largest of its arguments.", pure=_largest),
    Function("clip", _x("x", "low", "high"), "x held between low and high.", pure=truth.clip),
    Function("where", (_C, Parameter("a"), Parameter("b")),
             "a where the condition is true, b where it is false, unknown where it is unknown.", pure=truth.where),
    Function("known", _x("x"), "1 where x is known, else 0.", pure=truth.known, boolean=True),
    Function("otherwise", _x("x", "default"), "x, or the default where x is unknown.", pure=truth.otherwise),
    Function("table", (Parameter("x"), Parameter("nodes", "values")),
             "Linear interpolation through x0, y0, x1, y1, …; constant beyond the outer nodes.", pure=_table),
    Function("viscosity", _x("celsius"),
             "Kinematic viscosity in cSt of ISO VG 32 oil at a temperature (ASTM D341, Walther).",
             pure=truth.viscosity),
    Function("polytropic_efficiency", _x("p1", "p2", "t1", "t2", "kappa"),
             "(κ−1)/κ · ln(p2/p1)/ln(T2/T1): absolute pressures, °C (ISO 5389).", pure=truth.polytropic_efficiency),
    # smoothing and looking back
    Function("ewma", (_X, Parameter("tau", "duration")),
             "Exponentially weighted mean with time constant tau; begins as a plain mean.", make=Ewma),
    Function("ewm_std", (_X, Parameter("tau", "duration")),
             "Standard deviation about that mean: how restless x is.", make=EwmStd),
    Function("lag", (_X, _D), "x as it was d ago.", make=_lag("value")),
    Function("rise", (_X, _D), "x minus its value d ago.", make=_lag("rise")),
    Function("rate", (_X, _D), "Change of x per second over the last d.", make=_lag("rate")),
    Function("mean_over", (_X, _D), "Mean of x over the last d.", make=_over("mean")),
    Function("min_over", (_X, _D), "Smallest x over the last d.", make=_over("min")),
    Function("max_over", (_X, _D), "Largest x over the last d.", make=_over("max")),
    Function("std_over", (_X, _D), "Standard deviation of x over the last d.", make=_over("std")),
    Function("last_known", (_X, _D), "The last known x, for at most d.", make=LastKnown),
    Function("slope_while", (_X, _C, _D),
             "Change of x per second since c became true, once that is d ago; unknown while c is not true.",
             make=SlopeWhile),
    # conditions in time
    Function("held", (_C, _D), "1 once c has been true for d without interruption.", make=Held, boolean=True),
    Function("since", (_C,), "Seconds since c was last true (0 while it is).", make=Since),
    Function("duty", (_C, _D), "Share of the last d for which c was true.", make=Duty),
    Function("accumulate", (_X,), "∫ x dt in seconds times the unit of x; of a condition: seconds it was true.",
             make=Accumulate),
    # cycle by cycle
    Function("median_last", (_X, _N),
             "Median of the last n known samples of x; unknown where x is, and before half of them have come.",
             make=_last("median")),
    Function("spread_last", (_X, _N),
             "1.4826 × median absolute deviation of the last n known samples: a spread that outliers do not move.",
             make=_last("spread")),
    Function("tally", (_C,), "For how many samples c was true.", make=Tally),
    # learning
    Function("baseline", (_X, _LEARN, _FREEZE),
             "Mean of x over the first `learn` of valid time; unknown until learned, frozen after. No learning while "
             "`freeze` is true.", make=Baseline),
    Function("baseline_of", (_X, Parameter("identity"), _LEARN, _FREEZE),
             "The same, learned anew when `identity` changes: another vehicle in that place, another wheelset.",
             make=BaselineOf),
)  # fmt: skip

FUNCTIONS: Final = {f.name: f for f in _ALL} | {
    "expected": Function(
        "expected",
        (Parameter("y"), Parameter("inputs", "values"), _LEARN, _FREEZE),
        "What y should be, given the inputs: least squares learned recursively over the first `learn` of valid time, "
        "then frozen. Unknown until learned and far outside what was seen while learning.",
        make=Expected,
    ),
    "count": Function(
        "count",
        (_C, Parameter("d", "duration", required=False)),
        "How often c became true, within the last d or ever.",
        make=lambda k, d=None: Count(k) if d is None else CountOver(k, d),
    ),
}

SPECIAL: Final = {
    "fresh": "fresh(point)  The reading of a measured point that came with this very moment, else unknown.",
    "peer_median": "peer_median(x, [by])  Median of x over the instances of a repeated point, itself included; `by` "
    "names placeholders to group by. Unknown below three known.",
    "peer_spread": "peer_spread(x, [by])  1.4826 × median absolute deviation of x among the same peers.",
    "max_of": "max_of(x)  Largest known x over all instances of a repeated point.",
    "min_of": "min_of(x)  Smallest known x over all instances.",
    "mean_of": "mean_of(x)  Mean of the known x over all instances.",
    "sum_of": "sum_of(x)  Sum of the known x over all instances.",
    "median_of": "median_of(x)  Median of the known x over all instances.",
    "count_of": "count_of(c)  For how many instances c is true.",
    "active": 'active("point/limit")  1 while that condition is active (as of the frame before).',
}
"""Functions that need to know the instances; the compiler builds them itself."""

VARIABLES: Final = {
    "state": 'The machine\'s operating state; compare as state == "loaded" or state in ("loaded", "recycle").',
    "state_age": "Seconds since the state was entered.",
}
