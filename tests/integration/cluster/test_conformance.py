"""Same input, same rows: the embedded host and the cluster, on the same messages over the same broker.

The short form is part of every test run; ``make conformance`` plays thirty minutes of the demonstration's fleet, SKAB
and the Azure set.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from runtime.local.broker import LocalBroker
from tests.integration.cluster.conformance import Both, data_folder, demo, differences, install_demo, sizes
from tests.support.cluster import Cluster
from tests.support.conservation import accounted
from workbench.replay.command import publish, register
from workbench.replay.recordings import load_profile, read

pytestmark = [pytest.mark.kafka, pytest.mark.integration, pytest.mark.slow]

FULL = bool(os.environ.get("SERVITIZE_CONFORMANCE"))
MINUTES = 30.0 if FULL else 2.0
full_only = pytest.mark.skipif(not FULL, reason="the long form: make conformance")


@pytest.fixture
def both(cluster: Cluster, fresh_database: Any, cluster_template: str, broker: LocalBroker) -> Both:
    return Both(cluster, fresh_database(template=cluster_template).dsn)


@pytest.mark.timeout(3600 if FULL else 1200)
def test_the_demonstration_is_the_same_on_both(both: Both) -> None:
    both.register(install_demo)
    with both.running("worker-0", "worker-1"):
        sent = both.publish(demo(MINUTES))
        both.settle(sent, 3000 if FULL else 600)
    assert differences(*both.databases) == []
    found = sizes(both.embedded)
    assert found["condition_transition"] >= 2, found  # or there is little to agree upon
    assert found["state_change"] >= 4
    assert not accounted(both.cluster.counts())


@full_only
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("name", ["skab", "azure_pdm"])
def test_recordings_are_the_same_on_both(both: Both, name: str) -> None:
    folder = data_folder()
    if folder is None:
        pytest.skip("public recordings are not here: set SERVITIZE_DATA to the folder that holds skab/, azure_pdm/ …")
    files = _files(folder / name, name)
    recording, tenant = read(files, load_profile(name)), f"replay-{name.replace('_', '-')}"
    both.register(lambda connection: register(connection, recording, tenant))
    with both.running("worker-0", "worker-1"):
        summary = publish(recording, tenant, both.cluster.mqtt_as("replay"))
        both.settle(summary.messages + summary.clock, 3000)
    assert differences(*both.databases) == []
    assert sizes(both.embedded)["reading"] >= summary.cells


def _files(folder: Path, name: str) -> list[Path]:
    return sorted(folder.rglob("*.csv"))[:5] if name == "skab" else [folder]
