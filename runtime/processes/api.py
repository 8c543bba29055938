"""The API process: ``python -m runtime.processes.api HOME``. Ends on SIGTERM after answering what it has begun."""

from __future__ import annotations

import sys
from pathlib import Path

from boards.web.app import mount
from runtime.bootstrap import API, DEVICE_MASTER, parse_type
from runtime.endpoints import read_endpoints
from runtime.local.paths import DataDirectory, given_secrets
from runtime.notify import outbound
from runtime.processes.logs import log_as_lines
from runtime.processes.memory import settle
from services.api.server import make_server
from services.api.settings import ApiSettings


def main() -> int:
    log_as_lines()
    data = DataDirectory(Path(sys.argv[1]), given=given_secrets())
    endpoints = read_endpoints(data)
    api = endpoints.api
    assert api is not None
    settings = ApiSettings(
        database_url=endpoints.databases[API],
        host=api.host,
        port=api.port,
        tls_certificate=None if api.certificate is None else Path(api.certificate),
        tls_key=None if api.key is None else Path(api.key),
        outbound=outbound(),
        metrics_token=data.given_secret("metrics-token"),
        device_master=data.secret(DEVICE_MASTER) if data.given is None else data.given_secret(DEVICE_MASTER),
    )
    server = make_server(settings, parse_type, mount)
    settle()
    server.run()
    return 0


if __name__ == "__main__":
    sys.exit(main())
