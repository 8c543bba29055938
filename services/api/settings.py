"""What the API process needs to know before it starts. Runtime makes it; tests make their own."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from pathlib import Path

from ingest.limits import IngestLimits
from services.vetted import OutboundPolicy


@dataclass(frozen=True, slots=True)
class ApiSettings:
    """Settings of one API process.

    ``database_url`` logs in as ``servitize_api`` (or a member that may SET ROLE to it; the pool does): row security
    does the isolation, so a login that bypasses it is refused at start. ``host`` is loopback unless somebody decides
    otherwise. ``fresh_within`` seconds without a commit of any stream after which ``/readyz`` calls the flow of
    telemetry stale; None: streams are not looked at (an API without ingest beside it). ``sequence`` False leaves
    numbering of the outbox and shelf timers to other API processes (one of them must do it).
    """

    database_url: str
    host: str = "127.0.0.1"
    port: int = 8000
    tls_certificate: Path | None = None
    tls_key: Path | None = None
    pool_min: int = 1
    pool_max: int = 10
    pool_timeout: float = 5.0
    """Seconds a request waits for a connection before it is told that the service is overloaded (503)."""
    statement_timeout: float = 15.0
    """Seconds one statement may run: a question too wide fails alone instead of holding up its neighbours."""
    body_limit: int = 64 * 1024
    """Bytes of a request body; the largest legitimate one is a comment."""
    page_default: int = 100
    page_max: int = 1000
    readings_max: int = 10_000
    """Most readings or pixels of one answer: 10,000 rows are about 1 MB of JSON."""
    heartbeat: float = 15.0
    """Seconds of silence after which a stream sends a comment, well under the 60 s at which proxies cut idle
    connections."""
    stream_batch: int = 500
    """Events read at once for one stream: what a slow client has not taken stays in the table, not in our memory."""
    streams_per_tenant: int = 20
    sequencer_floor: float = 0.1
    """Seconds between looks at the outbox when no notification wakes the sequencer."""
    shelf_interval: float = 1.0
    fresh_within: float | None = None
    sequence: bool = True
    device_limits: IngestLimits = field(default_factory=IngestLimits)
    """What ingest holds devices to; shown beside what it refused. Whoever gives ingest others gives them here too."""
    device_master: str | None = field(default=None, repr=False)
    """Secret of the installation that devices' passwords are derived from and webhooks' secrets are sealed with, shared
    with whoever holds the broker and delivers; without it this API makes neither."""
    quota: int = 6000
    """Requests of one key or user within :attr:`quota_window`; all at once if need be."""
    tenant_quota: int = 30_000
    """The same for all of a tenant together. Both are counted by each API process for itself."""
    quota_window: int = 60
    outbound: OutboundPolicy = field(default_factory=OutboundPolicy)
    """Where this process may connect because somebody outside said so: issuers of tokens."""
    grace: float = 5.0
    """Seconds that requests in flight get at shutdown."""
    metrics_token: str | None = None
    """Opens ``/metrics`` to who asks from elsewhere than this machine; without it nobody else may."""
    cursor_secret: bytes | None = None
    """Signs cursors. By default derived from ``database_url``, so that cursors outlive a restart and hold in every
    process."""

    def signing_key(self) -> bytes:
        """Key for cursors: given, or derived (one way) from the database URL."""
        return self.cursor_secret or hashlib.sha256(b"servitize cursor\0" + self.database_url.encode()).digest()
