"""``make faultscluster``: what can befall a cluster; ``build/faults-cluster.json``.

python -m tests.faults.cluster_run [--seed N] [--scale X] [--only NAME,NAME]
"""

from __future__ import annotations

import argparse
import json
import sys
import time
import traceback
from collections.abc import Sequence

from tests.faults.cluster_host import ClusterHost
from tests.faults.cluster_scenarios import ALL
from tests.faults.host import REPOSITORY
from tests.faults.scenarios import Stage
from tests.faults.verdict import Result

REPORT = REPOSITORY / "build" / "faults-cluster.json"


def main(arguments: Sequence[str] | None = None) -> int:
    """0 where nothing was lost that may not be, and everything else agreed."""
    parser = argparse.ArgumentParser(prog="make faultscluster", description=__doc__)
    parser.add_argument("--seed", type=int, default=int(time.time()) % 1_000_000)
    parser.add_argument("--scale", type=float, default=1.0, help="amounts and absences are multiplied by it")
    parser.add_argument("--only", default="", help=f"names, with commas: {', '.join(ALL)}")
    chosen = parser.parse_args(arguments)
    names = [name for name in chosen.only.split(",") if name] or list(ALL)
    if unknown := set(names) - set(ALL):
        parser.error(f"unknown: {', '.join(sorted(unknown))}")
    print(f"seed {chosen.seed}, scale {chosen.scale:g}: {len(names)} scenarios", flush=True)
    results: list[Result] = []
    with ClusterHost() as host:
        for name in names:
            results.append(_play(name, Stage(host, chosen.seed, chosen.scale)))
            REPORT.parent.mkdir(exist_ok=True)
            REPORT.write_text(json.dumps([result.as_document() for result in results], indent=1) + "\n")
    return 0 if all(result.passed for result in results) else 1


def _play(name: str, stage: Stage) -> Result:
    began = time.monotonic()
    try:
        result = ALL[name](stage)
    except Exception as error:
        traceback.print_exc()
        print(stage.host.log(), flush=True)
        result = Result(name, "cluster", 0, 0, 0, 0, 0, 0.0, seed=stage.seed, problems=[repr(error)])
    print(
        f"{result.scenario:<18} {result.published:>9} published {result.stored:>9} stored {result.lost:>5} lost"
        f" {result.duplicated:>3} doubled  recovered {result.recovery_s:6.2f} s  backlog {result.backlog_s:6.1f} s"
        f"  ended {result.ending_s:5.2f} s  {'ok' if result.passed else 'WRONG'}  ({time.monotonic() - began:.0f} s)",
        flush=True,
    )
    for problem in result.problems:
        print(f"    {problem}", flush=True)
    return result


if __name__ == "__main__":
    sys.exit(main())
