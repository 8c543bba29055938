"""What can befall a cluster and nothing else: its processes in pairs, its group, its log; and restarts in turn."""

from __future__ import annotations

import itertools
import signal
import time
from typing import Final

from tests.faults import scenarios
from tests.faults.cluster_host import ClusterHost, ProcessPart
from tests.faults.host import Part
from tests.faults.scenarios import Play, Scenario, Stage
from tests.faults.verdict import Result

TERM, KILL = signal.SIGTERM, signal.SIGKILL


def _host(play: Play) -> ClusterHost:
    assert isinstance(play.host, ClusterHost)
    return play.host


def pairs(stage: Stage) -> Result:
    """Every two of ingest, a worker, Kafka and the database are killed one after the other, at intervals."""

    def hurt(play: Play) -> None:
        host = _host(play)
        parts: list[Part] = [host.ingest, host.workers[0], host.log_of, host.database]
        sample = list(itertools.permutations(parts, 2))
        play.rng.shuffle(sample)
        count = len(sample) if stage.scale >= 0.5 else max(3, round(len(sample) * stage.scale))
        for place, (first, second) in enumerate(sample[:count]):
            play.load.reached((place + play.rng.uniform(0.2, 0.8)) / (count + 1))
            first.end(KILL)
            time.sleep(play.rng.choice([0.0, 0.5, 3.0]))
            second.end(KILL)
            play.watch.restored()
            host.database.start()
            host.log_of.start()
            host.ingest.keep_alive()
            play.watch.started()

    return stage.play(
        "pairs", stage.run(400_000), hurt, rate=6_000, faults="two of ingest, worker, Kafka, database killed, in pairs"
    )


def rebalance_storm(stage: Stage) -> Result:
    """Workers come and go, in order and by force, faster than the group settles."""

    def hurt(play: Play) -> None:
        host = _host(play)
        guests = [ProcessPart(host, f"worker-{number}") for number in (7, 8)]
        rounds = 8 if stage.scale >= 0.5 else 3
        for place in range(rounds):
            play.load.reached((place + 0.5) / (rounds + 1))
            guest = guests[place % 2]
            guest.start()
            time.sleep(play.rng.uniform(0.5, 6.0))
            play.watch.restored()
            guest.end(play.rng.choice([TERM, KILL]))
            play.watch.started()

    return stage.play("rebalance-storm", stage.run(300_000), hurt, rate=6_000, faults="workers come and go 8 times")


def kafka_away(stage: Stage) -> Result:
    """Nobody can take anything: ingest stops reading, the broker keeps it."""
    away = stage.seconds(60)

    def hurt(play: Play) -> None:
        play.load.reached(0.2)
        play.strike(_host(play).log_of, TERM, away)

    return stage.play("kafka-away", stage.run(400_000), hurt, rate=6_000, faults=f"Kafka stopped for {away:.0f} s")


def kafka_killed(stage: Stage) -> Result:
    """What it acknowledged it has, whenever its process dies."""

    def hurt(play: Play) -> None:
        for place in range(3):
            play.load.reached((place + play.rng.uniform(0.3, 0.9)) / 4)
            play.strike(_host(play).log_of, KILL)

    return stage.play("kafka-killed", stage.run(300_000), hurt, rate=6_000, faults="Kafka killed 3 times")


def rolling_restart(stage: Stage) -> Result:
    """A new version: every process is ended in order and started again, one after the other, under load. No alarm is
    late for good, and none is told twice."""

    def hurt(play: Play) -> None:
        host = _host(play)
        parts = [*host.workers, host.ingest]
        for place, part in enumerate(parts):
            play.load.reached((place + 0.5) / (len(parts) + 1))
            play.strike(part, TERM)
            host.cluster.wait(part.name)

    return stage.play(
        "rolling-restart", stage.run(300_000), hurt, rate=6_000, faults="every process restarted in order"
    )


ALL: Final[dict[str, Scenario]] = {
    "pairs": pairs,
    "rebalance-storm": rebalance_storm,
    "kafka-away": kafka_away,
    "kafka-killed": kafka_killed,
    "rolling-restart": rolling_restart,
    "database-away": scenarios.database_away,
    "broker-restart": scenarios.broker_restart,
    "late-delivery": scenarios.late_delivery,
}
