"""``make benchcluster``: the whole system over Kafka on this machine; build/bench-cluster.json.

One ingest, one worker, and everything else, with the load of ``make bench``. ``--partitions 1 2 4`` puts the fleet into
so many partitions (0: into all 64) and compares what a million readings cost.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from functools import partial
from pathlib import Path
from typing import Any

REPORT = Path(__file__).resolve().parents[2] / "build" / "bench-cluster.json"


def main() -> int:
    parser = argparse.ArgumentParser(prog='make benchcluster BENCH="…"', description=__doc__)
    parser.add_argument("--partitions", type=int, nargs="+", default=[0, 1, 2, 4], help="%(default)s")
    parser.add_argument("--seconds", type=float, default=30.0, help="of each run (%(default)s)")
    parser.add_argument("--points", type=int, default=10_000, help="%(default)s")
    parser.add_argument("--rate", type=float, help="readings/s offered (as fast as it goes)")
    parser.add_argument("--workers", type=int, default=1, help="%(default)s")
    parser.add_argument("--window", type=int, default=2_000, help="messages under way when as fast as it goes")
    parser.add_argument("--one", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one is not None:
        print(json.dumps(_measure(options)))
        return 0
    found = []
    for partitions in options.partitions:
        # a process of its own: the publisher and the installer learn from its environment where the fleet lies
        command = [sys.executable, "-m", "tests.benchmarks.cluster", *sys.argv[1:], "--one", str(partitions)]
        environment = {**os.environ, "SERVITIZE_BENCH_PARTITIONS": str(partitions)}
        done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
        if done.returncode:
            print(done.stdout, done.stderr, sep="\n")
            return 1
        figures = json.loads(done.stdout.splitlines()[-1])
        print(figures, flush=True)
        found.append(figures)
    document = {"at": time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()), "runs": found}
    REPORT.parent.mkdir(exist_ok=True)
    REPORT.write_text(json.dumps(document, indent=1) + "\n")
    costs = [run["cpu_s_per_million"]["all"] for run in found if run["partitions"]]
    if len(costs) > 1:
        print(f"most to least expensive partitioning: {max(costs) / min(costs):.2f}")
    return 1 if any(run["lost"] or run["duplicated"] or run["wrong"] for run in found) else 0


def _measure(options: argparse.Namespace) -> dict[str, Any]:
    from runtime.cluster.supervisor import ClusterSupervisor, Size
    from tests.benchmarks.whole.installation import installed
    from tests.benchmarks.whole.load import FRAME
    from tests.benchmarks.whole.scenarios import LATENESS, WARM_UP, _after, _arrived, _cost

    make = partial(ClusterSupervisor, size=Size(1, options.workers))
    with installed(options.points // FRAME, LATENESS, make) as installation:
        run = installation.run(options.seconds, rate=options.rate, window=options.window)
        first, last = _after(run, WARM_UP), run.samples[-2]
        cost = _cost(first, run.samples[-1])
        return {
            "partitions": options.one,
            "readings_per_s": round((last.stored - first.stored) / (last.at - first.at)),
            "cpu_s_per_million": cost
            | {"all": round(sum(value for name, value in cost.items() if name != "publisher"), 2)},
            "backlog_s": round(run.backlog_seconds, 2),
            "load_average": round(run.load_average, 1),
            **_arrived(installation, run),
        }


if __name__ == "__main__":
    sys.exit(main())
