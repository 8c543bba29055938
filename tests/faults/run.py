"""``make faults`` and ``make faultscluster``: every scenario at full size, ``build/faults*.json`` and
docs/reference/reliability.md out of them.

python -m tests.faults.run [--host embedded|cluster] [--seed N] [--scale X] [--only NAME,NAME] [--no-docs]
"""

from __future__ import annotations

import argparse
import contextlib
import os
import platform
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Iterator, Sequence
from pathlib import Path

from tests.faults import cluster_scenarios
from tests.faults.cluster_host import ClusterHost
from tests.faults.host import REPOSITORY, EmbeddedHost
from tests.faults.report import Measured, write_document
from tests.faults.scenarios import ALL, WITH_IOTCORE, Scenario, Stage
from tests.faults.verdict import Result

REPORTS = {"embedded": REPOSITORY / "build" / "faults.json", "cluster": REPOSITORY / "build" / "faults-cluster.json"}
Plan = Sequence[tuple[str, str]]
"""Scenarios by name, each with the broker it is played on."""
DISK = "database-disk-full"
DISK_SIZE = "1200m"


def main(arguments: Sequence[str] | None = None) -> int:
    """0 where nothing was lost that may not be, and everything else agreed."""
    parser = argparse.ArgumentParser(prog="make faults", description=__doc__)
    parser.add_argument("--seed", type=int, default=int(time.time()) % 1_000_000)
    parser.add_argument("--scale", type=float, default=1.0, help="amounts and absences are multiplied by it")
    parser.add_argument("--only", default="", help="names, with commas; NAME@iotcore for the other broker")
    parser.add_argument("--host", choices=list(REPORTS), default="embedded")
    parser.add_argument("--keep", action="store_true", help="of other scenarios keep what the last run says")
    parser.add_argument("--no-docs", action="store_true", help="write the file in build only")
    chosen = parser.parse_args(arguments)
    machine = _machine()  # with the load before ours
    # whoever starts us in the background has interrupts ignored, and children would inherit that
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(130))  # what was started is ended then, too
    report, known = REPORTS[chosen.host], _known(chosen.host)
    wanted = {tuple((name + "@mosquitto").split("@")[:2]) for name in chosen.only.split(",") if name}
    if unknown := wanted - set(known):
        names = ", ".join(sorted({name for name, _ in known}))
        parser.error(f"unknown: {', '.join('@'.join(pair) for pair in sorted(unknown))}; known: {names}")
    plan = [pair for pair in known if not wanted or pair in wanted]
    print(f"{chosen.host} host, seed {chosen.seed}, scale {chosen.scale:g}: {len(plan)} scenarios", flush=True)
    skipped: dict[str, str] = {}
    results: list[Result] = []
    if chosen.keep and report.exists():
        results = Measured.read(report).results
    fresh: list[Result] = []
    play = _on_a_cluster if chosen.host == "cluster" else _embedded
    for result in play(plan, chosen.seed, chosen.scale, skipped):
        fresh.append(result)
        results = _merged([result], results, known)
        # after each: whoever ends this early has what was measured
        Measured(results, skipped, chosen.seed, chosen.scale, machine).write(report)
    whole = {host: Measured.read(path) for host, path in REPORTS.items() if path.exists()}
    short = [host for host, run in whole.items() if len(run.results) + len(run.skipped) < len(_known(host))]
    if short or len(whole) < len(REPORTS) or chosen.scale != 1.0:
        print("the page is left as it is: it wants every scenario of both hosts at full size (--keep adds to a run)")
    elif not chosen.no_docs:
        write_document(whole)
    passed = sum(result.passed for result in fresh)
    print(f"{passed} of {len(fresh)} as they must be; {report.relative_to(REPOSITORY)}")
    return 0 if passed == len(fresh) else 1


def _known(host: str) -> Plan:
    if host == "cluster":
        return [(name, "mosquitto") for name in cluster_scenarios.ALL]
    return [*((name, "mosquitto") for name in ALL), *((name, "iotcore") for name in WITH_IOTCORE)]


def _on_a_cluster(plan: Plan, seed: int, scale: float, skipped: dict[str, str]) -> Iterator[Result]:
    with ClusterHost() as host:
        for name, _ in plan:
            yield _play(name, cluster_scenarios.ALL[name], Stage(host, seed, scale))


def _embedded(plan: Plan, seed: int, scale: float, skipped: dict[str, str]) -> Iterator[Result]:
    """One scenario after the other, each broker's on one host."""
    for broker in ("mosquitto", "iotcore"):
        names = [name for name, which in plan if which == broker and name != DISK]
        if names:
            with EmbeddedHost(broker=broker) as host:
                for name in names:
                    yield _play(name, ALL[name], Stage(host, seed, scale))
    if (DISK, "mosquitto") in plan:
        try:
            with disk_stage(seed, scale) as stage:
                yield _play(DISK, ALL[DISK], stage)
        except NoSmallDiskError as error:
            skipped[DISK] = str(error)
            print(f"{DISK:<26} skipped: {error}", flush=True)


def _merged(fresh: list[Result], old: list[Result], known: Plan) -> list[Result]:
    """Newer results in the place of older ones, in the order of the scenarios."""
    by_name = {(r.scenario, "iotcore" if r.host.endswith("iotcore") else "mosquitto"): r for r in [*old, *fresh]}
    return [by_name[pair] for pair in known if pair in by_name]


def _play(name: str, scenario: Scenario, stage: Stage) -> Result:
    began = time.monotonic()
    try:
        result = scenario(stage)
    except Exception as error:
        traceback.print_exc()
        print(stage.host.log(), flush=True)
        label = (
            stage.host.name if stage.host.broker_name == "mosquitto" else f"{stage.host.name}-{stage.host.broker_name}"
        )
        result = Result(name, label, 0, 0, 0, 0, 0, 0.0, seed=stage.seed, problems=[f"{type(error).__name__}: {error}"])
    print(
        f"{result.scenario:<26} {result.host:<17} {result.published:>9} published {result.stored:>9} stored"
        f" {result.lost:>6} lost {result.detected:>6} detected {result.duplicated:>3} doubled"
        f"  recovered {result.recovery_s:6.2f} s  behind {result.backlog_s:5.1f} s  ended {result.ending_s:5.2f} s"
        f"  {'ok' if result.passed else 'WRONG'}  ({time.monotonic() - began:.0f} s)",
        flush=True,
    )
    for problem in result.problems:
        print(f"    {problem}", flush=True)
    return result


class NoSmallDiskError(RuntimeError):
    """Why there is no disk to fill here."""


@contextlib.contextmanager
def disk_stage(seed: int, scale: float) -> Iterator[Stage]:
    """A host on a file system of its own, small enough to be filled (root may mount one, on Linux)."""
    if os.geteuid() != 0 or sys.platform != "linux":
        raise NoSmallDiskError("only root on Linux may mount a small file system")
    place = Path(tempfile.mkdtemp(prefix="servitize-disk-"))
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={DISK_SIZE},mode=755", "tmpfs", str(place)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if mounted.returncode != 0:
        place.rmdir()
        raise NoSmallDiskError(f"mounting a small file system is refused here: {mounted.stderr.strip()}")
    try:
        # little WAL kept ahead, so that the disk is full when it is full
        settings = {"max_wal_size": "64MB", "min_wal_size": "32MB", "wal_recycle": "off", "checkpoint_timeout": "30s"}
        with EmbeddedHost(root=place / "data", settings=settings) as host:
            yield Stage(host, seed, scale)
    finally:
        subprocess.run(["umount", "-l", str(place)], check=False)
        place.rmdir()


def _machine() -> str:
    busy = round(os.getloadavg()[0])
    shared = f", shared with about {busy} busy processes of others" if busy > 1 else ""
    return (
        f"{os.cpu_count()} cores, {platform.system()} {platform.machine()}, Python {platform.python_version()}{shared}"
    )


if __name__ == "__main__":
    sys.exit(main())
