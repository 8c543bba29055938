"""``servitize up`` with a database and a broker that somebody else runs: nothing is started in their place, everything
works, and doctor says what it can see of them."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from runtime.broker_check import MESSAGES, look_at
from runtime.local.endpoints import BrokerEndpoint
from runtime.local.mosquitto import find_mosquitto
from tests.integration.deploy.conftest import Installation, Run
from tests.support.installation import ROOT, free_ports

pytestmark = [pytest.mark.integration, pytest.mark.timeout(600)]


@pytest.fixture
def instance(installation: Installation) -> Iterator[Path]:
    """A running instance with its home; it is told of its servers by environment only."""
    home = installation.root / "instance"
    environment = {**os.environ, **installation.environ(), "SERVITIZE_HOME": str(home), "PYTHONPATH": str(ROOT)}
    log = installation.root / "instance.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "runtime.cli", "up", "--api", "0"], env=environment, stdout=output, stderr=output,
            cwd=installation.root,
        )  # fmt: skip
    try:
        deadline = time.monotonic() + 180
        while not state(home).get("instance", {}).get("ready"):
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.2)
        yield home
        process.send_signal(signal.SIGTERM)
        assert process.wait(120) == 0, log.read_text()
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()


def state(home: Path) -> dict[str, Any]:
    try:
        return dict(json.loads((home / "state.json").read_text()))
    except (FileNotFoundError, ValueError):
        return {}


def test_everything_works_with_servers_of_somebody_else(installation: Installation, instance: Path, run: Run) -> None:
    servers = state(instance)["servers"]
    assert servers["broker"]["kind"] == "external"
    assert "postgres" not in servers
    assert not (instance / "postgres").exists()
    made = run("device", "add", "external-1", "--type", "compressor-train", "--home", str(instance))
    assert made["notes"] == []
    assert (made["port"], made["tls"]) == (installation.broker.port, True)
    program = shutil.which("mosquitto_pub")
    if program is None:
        pytest.skip("needs mosquitto_pub (Debian: apt-get install mosquitto-clients)")
    key = (instance / "secrets" / "api-key-main").read_text()
    request = urllib.request.Request(f"{state(instance)['instance']['api']}/v1/equipment/external-1/latest")
    request.add_header("Authorization", f"Bearer {key}")

    def arrived() -> bool:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return bool(json.load(answer)["items"])

    deadline = time.monotonic() + 60
    while not arrived():
        assert time.monotonic() < deadline, _what_happened(installation, instance)
        time.sleep(0.3)
        # the very line that is printed; ingest hears of new equipment within a second or two
        subprocess.run(["sh", "-c", made["mosquitto_pub"]], check=True, timeout=30)

    findings = run("doctor", "--home", str(instance))
    assert [f for f in findings if f["level"] == "wrong"] == []
    told = [f["found"] for f in findings if f["subject"].startswith("broker")]
    assert any(f"{MESSAGES} of {MESSAGES} messages waited" in text for text in told)
    assert any("accounts are as the database says" in text for text in told)
    assert any("cannot be seen from outside" in text for text in told)


def _what_happened(installation: Installation, home: Path) -> str:
    files = (home / "run" / "ingest.json", home / "logs" / "ingest.log", installation.broker.log)
    return "\n".join(file.read_text()[-2000:] for file in files)


def test_a_broker_that_drops_what_it_acknowledged_is_found_out(
    installation: Installation, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Mosquitto as it comes: 1,000 messages for a client that is away, the rest is lost without a word."""
    found = find_mosquitto()
    assert found is not None
    (port,) = free_ports(1)
    place = tmp_path_factory.mktemp("default")
    config = place / "mosquitto.conf"
    config.write_text(
        f"listener {port} 127.0.0.1\nallow_anonymous true\n" + ("user root\n" if os.geteuid() == 0 else "")
    )
    process = subprocess.Popen([found.program, "-c", config], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        seen = _eventually(lambda: look_at(BrokerEndpoint("127.0.0.1", port)))
        assert seen.session
        assert seen.kept < MESSAGES
        assert seen.version == found.version
    finally:
        process.terminate()
        process.wait(20)


def _eventually(look: Callable[[], Any]) -> Any:
    from core.errors import UnavailableError

    deadline = time.monotonic() + 10
    while True:
        try:
            return look()
        except UnavailableError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)
