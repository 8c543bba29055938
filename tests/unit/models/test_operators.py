"""Every function with memory against a reference that a person can follow: one instance, one sample at a time."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest

from core.time import MINUTE, SECOND
from models.expressions.frame import Frame
from models.expressions.functions import FUNCTIONS
from models.expressions.learning import Baseline, BaselineOf, Expected
from models.expressions.operators import Accumulate, Count, Ewma, EwmStd, Held, LastKnown, Operator, Since, SlopeWhile
from models.expressions.samples import Last, Tally
from models.expressions.windows import CountOver, Duty, Lag, Over

NAN = math.nan
Sample = tuple[int, float]
"""(µs, value)"""
T0 = 1_700_000_000 * SECOND
D = 64 * SECOND


def samples(seed: int, n: int = 250, *, boolean: bool = False) -> list[Sample]:
    """Irregular, with gaps short and long, and unknown values."""
    rng = np.random.default_rng(seed)
    t, result = T0 + int(rng.integers(0, MINUTE)), []
    for _ in range(n):
        t += int(
            rng.choice([1, 2, 3, 10, 45, 400], p=[0.4, 0.25, 0.2, 0.1, 0.03, 0.02]) * SECOND + rng.integers(0, SECOND)
        )
        value = float(rng.random() < 0.6) if boolean else float(100 + rng.normal())
        result.append((t, NAN if rng.random() < 0.1 else value))
    return result


def vectorised(
    operator: Operator, columns: list[list[Sample]], others: list[list[list[Sample]]] | None = None
) -> list[list[float]]:
    """The operator over several equipment at once, at their own times; some frames hold only some of them."""
    n = len(columns)
    operator.allocate(n)
    result: list[list[float]] = [[] for _ in columns]
    place = [0] * n
    rng = np.random.default_rng(1)
    while any(place[i] < len(columns[i]) for i in range(n)):
        ready = [i for i in range(n) if place[i] < len(columns[i])]
        chosen = ready if rng.random() < 0.5 else [i for i in ready if rng.random() < 0.6]
        if not chosen:
            continue
        index = np.array(chosen, np.intp)
        t = np.array([[columns[i][place[i]][0]] for i in chosen], np.int64)
        x = [np.array([[columns[i][place[i]][1]] for i in chosen])]
        for other in others or []:
            x.append(np.array([[other[i][place[i]][1]] for i in chosen]))
        rows: slice | np.ndarray = slice(None) if len(chosen) == n else index
        with np.errstate(all="ignore"):
            y = operator(Frame(rows, index, t, np.empty((len(chosen), 0))), *x)  # type: ignore[operator]
        for j, i in enumerate(chosen):
            result[i].append(float(y[j, 0]))
            place[i] += 1
    return result


# --- references ------------------------------------------------------------------------------------------------------


def ewma(xs: list[Sample]) -> list[float]:
    """Weighted mean of all known samples, weights exp(−age/tau)."""
    out, known = [], []
    for t, x in xs:
        if x == x:
            known.append((t, x))
            w = [math.exp((a - t) / D) for a, _ in known]
            out.append(sum(wi * v for wi, (_, v) in zip(w, known, strict=True)) / sum(w))
        else:
            out.append(NAN)
    return out


def ewm_std(xs: list[Sample]) -> list[float]:
    out: list[float] = []
    known: list[Sample] = []
    for t, x in xs:
        if x != x:
            out.append(NAN)
            continue
        known.append((t, x))
        w = np.array([math.exp((a - t) / D) for a, _ in known])
        v = np.array([value for _, value in known])
        mean = (w * v).sum() / w.sum()
        out.append(math.sqrt((w * (v - mean) ** 2).sum() / w.sum()) if w.sum() >= 2 else NAN)
    return out


def lag_sample(xs: list[Sample], i: int) -> Sample | None:
    width = D // 32
    target = (xs[i][0] - D) // width
    buckets = {t // width: (t, x) for t, x in xs[: i + 1] if x == x}
    fitting = [b for b in buckets if target - 16 <= b <= target]
    return buckets[max(fitting)] if fitting else None


def lag(xs: list[Sample]) -> list[float]:
    found = [lag_sample(xs, i) for i in range(len(xs))]
    return [NAN if f is None else f[1] for f in found]


def rise(xs: list[Sample]) -> list[float]:
    return [x - then for (_, x), then in zip(xs, lag(xs), strict=True)]


def rate(xs: list[Sample]) -> list[float]:
    out = []
    for i, (t, x) in enumerate(xs):
        then = lag_sample(xs, i)
        out.append(NAN if then is None else (x - then[1]) / ((t - then[0]) / SECOND))
    return out


def window(of: Callable[[list[float]], float], least: int = 1) -> Callable[[list[Sample]], list[float]]:
    def reference(xs: list[Sample]) -> list[float]:
        width, out = D // 32, []
        for i, (t, _) in enumerate(xs):
            inside = [(a // width, x) for a, x in xs[: i + 1] if x == x and t // width - 32 < a // width]
            covered = bool(inside) and t // width - inside[0][0] >= 15
            out.append(of([x for _, x in inside]) if covered and len(inside) >= least else NAN)
        return out

    return reference


def held(xs: list[Sample]) -> list[float]:
    out: list[float] = []
    since: int | None = None
    last: int | None = None
    for t, c in xs:
        if c != c:
            out.append(NAN)
            continue
        if c == 0:
            since = None
        elif since is None or (last is not None and t - last > max(5 * MINUTE, D)):
            since = t
        last = t
        out.append(float(since is not None and t - since >= D))
    return out


def since(xs: list[Sample]) -> list[float]:
    out, last = [], None
    for t, c in xs:
        last = t if c == 1 else last
        out.append(NAN if last is None else (t - last) / SECOND)
    return out


def rises(xs: list[Sample]) -> list[bool]:
    out, last = [], NAN
    for _, c in xs:
        out.append(c == 1 and last == 0)
        last = c if c == c else last
    return out


def count(xs: list[Sample]) -> list[float]:
    total, out, known = 0, [], False
    for (_, c), rose in zip(xs, rises(xs), strict=True):
        total, known = total + rose, known or c == c
        out.append(float(total) if known else NAN)
    return out


def count_over(xs: list[Sample]) -> list[float]:
    width, rose, out = D // 32, rises(xs), []
    for i, (t, _) in enumerate(xs):
        n = sum(1 for (a, _), r in zip(xs[: i + 1], rose, strict=False) if r and a // width > t // width - 32)
        out.append(float(n) if any(c == c for _, c in xs[: i + 1]) else NAN)
    return out


def accumulate(xs: list[Sample]) -> list[float]:
    total, last, out = 0.0, None, []
    for t, x in xs:
        if x == x:
            if last is not None and t - last[0] <= 5 * MINUTE:
                total += last[1] * (t - last[0]) / SECOND
            last = (t, x)
        out.append(NAN if last is None else total)
    return out


def duty(xs: list[Sample]) -> list[float]:
    width, out = D // 32, []
    parts: list[tuple[int, float, float]] = []
    last: Sample | None = None
    for t, c in xs:
        if c == c:
            if last is not None and t - last[0] <= 5 * MINUTE:
                dt = (t - last[0]) / SECOND
                parts.append((t // width, dt, dt * last[1]))
            last = (t, c)
        inside = [p for p in parts if p[0] > t // width - 32]
        known = sum(p[1] for p in inside)
        out.append(sum(p[2] for p in inside) / known if known >= D / SECOND / 2 else NAN)
    return out


def last_known(xs: list[Sample]) -> list[float]:
    out, last = [], None
    for t, x in xs:
        last = (t, x) if x == x else last
        out.append(last[1] if last is not None and t - last[0] <= D else NAN)
    return out


def baseline(xs: list[Sample]) -> list[float]:
    learn, elapsed, last, known, out = 10 * MINUTE, 0, None, [], []
    for t, x in xs:
        if x == x and elapsed < learn:
            elapsed += 0 if last is None else min(t - last, learn // 20)
            known.append(x)
        last = t if x == x else last
        out.append(sum(known) / len(known) if elapsed >= learn else NAN)
    return out


def last_samples(make: Callable[[np.ndarray], float]) -> Callable[[list[Sample]], list[float]]:
    """Of the last nine known ones, once five have come, where x is known."""

    def reference(xs: list[Sample]) -> list[float]:
        out: list[float] = []
        known: list[float] = []
        for _, x in xs:
            known += [x] if x == x else []
            out.append(make(np.array(known[-9:])) if x == x and len(known) >= 5 else NAN)
        return out

    return reference


def tally(xs: list[Sample]) -> list[float]:
    out, total, known = [], 0, False
    for _, c in xs:
        known, total = known or c == c, total + (c == 1.0)
        out.append(float(total) if known else NAN)
    return out


CASES = {
    "median_last": (lambda: Last(1, 9, "median"), last_samples(lambda v: float(np.median(v))), False),
    "spread_last": (
        lambda: Last(1, 9, "spread"),
        last_samples(lambda v: 1.4826 * float(np.median(np.abs(v - np.median(v))))),
        False,
    ),
    "tally": (lambda: Tally(1), tally, True),
    "ewma": (lambda: Ewma(1, D), ewma, False),
    "ewm_std": (lambda: EwmStd(1, D), ewm_std, False),
    "lag": (lambda: Lag(1, D, "value"), lag, False),
    "rise": (lambda: Lag(1, D, "rise"), rise, False),
    "rate": (lambda: Lag(1, D, "rate"), rate, False),
    "mean_over": (lambda: Over(1, D, "mean"), window(lambda v: sum(v) / len(v)), False),
    "min_over": (lambda: Over(1, D, "min"), window(min), False),
    "max_over": (lambda: Over(1, D, "max"), window(max), False),
    "std_over": (lambda: Over(1, D, "std"), window(lambda v: float(np.std(v)), 2), False),
    "held": (lambda: Held(1, D), held, True),
    "since": (lambda: Since(1), since, True),
    "count": (lambda: Count(1), count, True),
    "count over": (lambda: CountOver(1, D), count_over, True),
    "accumulate": (lambda: Accumulate(1), accumulate, False),
    "duty": (lambda: Duty(1, D), duty, True),
    "last_known": (lambda: LastKnown(1, D), last_known, False),
    "baseline": (lambda: Baseline(1, 10 * MINUTE), baseline, False),
}


@pytest.mark.parametrize("name", CASES)
def test_it_equals_its_reference_sample_by_sample(name):
    make, reference, boolean = CASES[name]
    columns = [samples(seed, boolean=boolean) for seed in range(3)]
    for got, xs in zip(vectorised(make(), columns), columns, strict=True):
        np.testing.assert_allclose(got, reference(xs), rtol=1e-9, atol=1e-9)


def test_every_function_with_memory_has_a_reference():
    own = {"slope_while", "expected", "baseline_of"}  # below
    assert {f.name for f in FUNCTIONS.values() if f.make} <= set(CASES) | own


def test_slope_while_measures_from_where_the_condition_began():
    t = [T0 + i * SECOND for i in range(12)]
    condition = [0, 1, 1, 1, 1, 0, 1, 1, 1, 1, 1, 1]
    value = [0.0, 5, 6, 7, 9, 50, 10, 8, 6, 4, 2, 0]
    xs = list(zip(t, value, strict=True))
    cs = list(zip(t, [float(c) for c in condition], strict=True))
    (got,) = vectorised(SlopeWhile(1, 2 * SECOND), [xs], [[cs]])
    np.testing.assert_allclose(got, [NAN, NAN, NAN, 1.0, 4 / 3, NAN, NAN, NAN, -2, -2, -2, -2])


class TestExpected:
    """Least squares over the learning time, then frozen."""

    def learned(self, scale: float = 1.0, n: int = 400, change: float = 0.0) -> tuple[list[float], list[float]]:
        rng = np.random.default_rng(3)
        t = [T0 + i * 10 * SECOND for i in range(n)]
        a, b = 1e4 * scale + 100 * scale * rng.normal(size=n), 20 + rng.normal(size=n)
        y = 3.0 + 0.002 / scale * a - 0.7 * b + 0.01 * rng.normal(size=n)
        y[n // 2 + 1 :] += change
        pairs = [list(zip(t, column.tolist(), strict=True)) for column in (y, a, b)]
        (got,) = vectorised(Expected(1, 200 * 10 * SECOND, 2), [pairs[0]], [[pairs[1]], [pairs[2]]])
        half = slice(0, 201)
        x = np.column_stack([np.ones(n), a / (1e4 * scale) - 1.0, b])
        weights = np.linalg.lstsq(x[half], y[half], rcond=None)[0]
        return got, (x @ weights).tolist()

    def test_is_unknown_until_learned_and_then_the_least_squares_line(self):
        got, reference = self.learned()
        assert all(math.isnan(v) for v in got[:200])
        np.testing.assert_allclose(got[201:], reference[201:], atol=2e-3)

    @pytest.mark.parametrize("scale", [1e-9, 1e9])
    def test_units_do_not_matter(self, scale):
        got, reference = self.learned(scale)
        np.testing.assert_allclose(got[201:], reference[201:], atol=2e-3)

    def test_does_not_follow_a_fault(self):
        healthy, _ = self.learned()
        faulty, _ = self.learned(change=5.0)
        np.testing.assert_allclose(faulty[205:], healthy[205:], atol=0.05)

    def test_an_input_that_never_moved_or_moves_with_another_gives_no_wild_line(self):
        rng = np.random.default_rng(3)
        t = [T0 + i * 10 * SECOND for i in range(400)]
        a = rng.normal(size=400)
        columns = [2 * a + 1, a, a, np.full(400, 7.0)]
        pairs = [list(zip(t, c.tolist(), strict=True)) for c in columns]
        (got,) = vectorised(Expected(1, 200 * 10 * SECOND, 3), [pairs[0]], [[p] for p in pairs[1:]])
        np.testing.assert_allclose(got[205:], columns[0][205:], atol=0.01)

    def test_says_nothing_far_outside_what_it_has_seen(self):
        t = [T0 + i * 10 * SECOND for i in range(300)]
        x = [float(i % 10) for i in range(250)] + [18.0] * 25 + [19.0] * 25
        (got,) = vectorised(
            Expected(1, 200 * 10 * SECOND, 1),
            [list(zip(t, x, strict=True))],
            [[list(zip(t, x, strict=True))]],
        )
        assert got[260] == pytest.approx(18.0, rel=1e-3)
        assert math.isnan(got[-1])


def test_learning_stops_while_frozen():
    t = [T0 + i * 10 * SECOND for i in range(200)]
    x = [1.0 if i % 2 else 100.0 for i in range(200)]
    freeze = [0.0 if i % 2 else 1.0 for i in range(200)]
    operator = Baseline(1, 10 * MINUTE)

    class Frozen(Operator):
        def allocate(self, n):
            operator.allocate(n)

        def __call__(self, frame, value, frozen):
            return operator(frame, value, freeze=frozen)

    (got,) = vectorised(Frozen(1), [list(zip(t, x, strict=True))], [[list(zip(t, freeze, strict=True))]])
    assert got[-1] == 1.0


def test_another_part_in_the_same_place_is_learned_anew():
    t = [T0 + i * 10 * SECOND for i in range(300)]
    x = [1.0] * 100 + [5.0] * 200
    identity = [NAN] * 5 + [17.0] * 95 + [NAN] * 10 + [23.0] * 190
    (got,) = vectorised(
        BaselineOf(1, 10 * MINUTE), [list(zip(t, x, strict=True))], [[list(zip(t, identity, strict=True))]]
    )
    assert got[90] == 1.0
    assert got[105] == 1.0, "an unknown identity is no other one"
    assert math.isnan(got[115]), "nothing is known of the new one yet"
    assert got[-1] == 5.0
