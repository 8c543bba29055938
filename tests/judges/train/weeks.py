"""Twenty train-weeks without a fault: at most two announced alarms. `make train-weeks` (about ten minutes of CPU).

Summer and winter, days that begin with an empty reservoir in the depot, and one train that pushes a dead one for three
hours. The short form is `test_healthy_days.py`.
"""

from __future__ import annotations

import sys
import time

from tests.judges.train.bench import play
from tests.judges.train.laws import Case, Shape

ALLOWED = 2
WEEK = [
    *(Case(f"summer {i}", mean_c=27.0 + i) for i in range(5)),
    *(Case(f"winter {i}", mean_c=-4.0 - 3.0 * i) for i in range(5)),
    *(Case(f"depot start {i}", mean_c=8.0 + 3.0 * i, depot_start=True) for i in range(4)),
    Case("rescue run", rescue=4 * 24 + 10.0),
    Case("rescue run in heat", mean_c=30.0, rescue=5 * 24 + 13.0),
    *(Case(f"mild {i}", mean_c=10.0 + 3 * i) for i in range(4)),
]


def main() -> int:
    begun = time.process_time()
    false = 0
    for part in range(0, len(WEEK), 5):
        played = play(Shape(), WEEK[part : part + 5], 7, seed=43_001 + part)
        for name, said in played.said.items():
            for s in said:
                false += 1
                print(f"{name}: {s.hour:.1f} h {s.condition} ({s.concern}) {s.title}", flush=True)
        print(f"{part + len(played.said)} of {len(WEEK)}: {false}", flush=True)
    print(f"{len(WEEK)} train-weeks: {false} false alarms, at most {ALLOWED}; {time.process_time() - begun:.0f} s CPU")
    return 0 if false <= ALLOWED else 1


if __name__ == "__main__":
    sys.exit(main())
