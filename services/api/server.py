"""The API as a process of its own: uvicorn with a shutdown that ends event streams before it waits for them."""

from __future__ import annotations

import socket
import types
from collections.abc import Callable

import uvicorn
from fastapi import FastAPI

from models.types import from_document
from services.api.app import create_app
from services.api.settings import ApiSettings
from services.api.state import TypeParser, state_of


class Server(uvicorn.Server):
    """Tells the app that the end is near: an event stream never ends by itself, and uvicorn waits for every answer."""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """As its parent, and without waiting 40 ms between head and body of an answer: asyncio asks for that only where
        a socket was made for TCP by name, and what is accepted inherits it."""
        for given in sockets or ():
            given.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        await super().startup(sockets)

    def handle_exit(self, sig: int, frame: types.FrameType | None) -> None:
        self.say_goodbye()
        super().handle_exit(sig, frame)

    def say_goodbye(self) -> None:
        """End the event streams; their clients resume by id elsewhere or later."""
        state_of(self.config.app).close_streams()


def make_server(
    settings: ApiSettings, parse_type: TypeParser = from_document, mount: Callable[[FastAPI], None] | None = None
) -> Server:
    """A server ready to ``run()`` (blocking) or ``await serve()``; not started, nothing bound.

    ``mount`` may add to the app what services know nothing of (boards).
    """
    app = create_app(settings, parse_type)
    if mount is not None:
        mount(app)
    return Server(
        uvicorn.Config(
            app,
            host=settings.host,
            port=settings.port,
            log_config=None,
            access_log=False,
            ssl_certfile=settings.tls_certificate,
            ssl_keyfile=settings.tls_key,
            server_header=False,
            proxy_headers=False,
            timeout_graceful_shutdown=max(1, round(settings.grace)),
            timeout_keep_alive=30,
            h11_max_incomplete_event_size=16 * 1024,
            limit_concurrency=1000,
        )
    )


def run(settings: ApiSettings, sockets: list[socket.socket] | None = None) -> None:
    """Serve until SIGINT or SIGTERM, on ``sockets`` that are bound already (no race for a free port) or on
    ``settings``' address. Requests in flight get ``settings.grace`` seconds; what they did is committed or rolled
    back.

    Raises ``SystemExit`` when the address cannot be bound or the database role is not the one that isolates tenants.
    """
    make_server(settings).run(sockets)
