"""What a prognosis costs: one machine, and ten thousand side by side (features of the step and answer)."""

import time

import numpy as np
import pytest

from models.prognosis.regression import LifeRegressor
from tests.unit.prognosis.wear import lives

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def model() -> LifeRegressor:
    """Of full size, whatever it learned from."""
    return LifeRegressor(horizon=80.0, folds=2).fit(lives(40, 1, sensors=14))


@pytest.mark.parametrize(("machines", "steps"), [(1, 60), (10_000, 4)])
def test_a_step_of_a_fleet(model: LifeRegressor, machines: int, steps: int, capsys: pytest.CaptureFixture[str]):
    one = lives(1, 2, sensors=14)[0]
    fleet = model.start(machines)
    spent = []
    for step in range(steps):
        settings = np.repeat(one.settings[step : step + 1], machines, axis=0)
        sensors = np.repeat(one.sensors[step : step + 1], machines, axis=0)
        begun = time.process_time()
        said = fleet.step(settings, sensors)
        spent.append(time.process_time() - begun)
    assert len(said) == machines
    with capsys.disabled():
        print(f"\n{machines} machine(s): {1000 * float(np.median(spent)):.1f} ms of processor time per step")
