"""What a worker says of itself over HTTP: how far behind it is, and loudly when a partition has stopped."""

from __future__ import annotations

import urllib.error
import urllib.request
from typing import Any

import pytest

from stream_processors.metrics import MetricsServer


def get(server: MetricsServer, path: str) -> str:
    with urllib.request.urlopen(f"http://127.0.0.1:{server.port}{path}", timeout=5) as answer:
        return str(answer.read().decode())


def test_lag_by_partition_and_a_stopped_one() -> None:
    said: dict[str, Any] = {"lag": 12, "partitions": [3, 4], "lag_by_partition": {"4": 12}, "stopped": {}, "stored": 7}
    server = MetricsServer("127.0.0.1", 0, lambda: said)
    try:
        text = get(server, "/metrics")
        assert 'servitize_partition_lag{partition="4"} 12.0' in text
        assert 'servitize_partition_lag{partition="3"} 0.0' in text
        assert "servitize_stored_total 7.0" in text
        assert get(server, "/healthz") == "ok\n"
        said["stopped"] = {"9": "retention"}
        with pytest.raises(urllib.error.HTTPError) as refused:
            get(server, "/healthz")
        assert refused.value.code == 503
        assert 'servitize_partition_stopped{partition="9"} 1.0' in get(server, "/metrics")
    finally:
        server.close()
