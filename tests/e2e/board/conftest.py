"""A served board, a Chromium that looks at it, and pages that remember what they complained about."""

from __future__ import annotations

import os
import shutil
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from boards.web.app import mount
from runtime.local.postgres import LocalPostgres
from services.api.server import Server, make_server
from services.api.settings import ApiSettings
from tests.conftest import DatabaseFactory
from tests.e2e.board.world import World, make_world


@pytest.fixture(scope="session")
def world(postgres: LocalPostgres, database_factory: DatabaseFactory) -> World:
    return make_world(postgres, database_factory())


@dataclass
class Serving:
    """Where the board is served; :meth:`stop` and :meth:`start` as if the service were restarted at the same place."""

    settings: ApiSettings
    port: int = 0
    server: Server | None = None
    thread: threading.Thread | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", self.port))
        self.port = listener.getsockname()[1]
        server = self.server = make_server(self.settings, mount=mount)
        self.thread = threading.Thread(target=server.run, args=([listener],), daemon=True)
        self.thread.start()
        deadline = time.monotonic() + 30
        while not server.started:
            assert self.thread.is_alive(), "the server ended before it began"
            assert time.monotonic() < deadline
            time.sleep(0.02)

    def stop(self) -> None:
        assert self.server is not None
        assert self.thread is not None
        self.server.say_goodbye()
        self.server.should_exit = True
        self.thread.join(20)
        assert not self.thread.is_alive(), "the server did not end"


@pytest.fixture(scope="session")
def serving(world: World) -> Iterator[Serving]:
    made = Serving(ApiSettings(world.api_dsn, grace=1))
    made.start()
    yield made
    made.stop()


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    """Debian's Chromium, or the one that SERVITIZE_CHROMIUM names."""
    names = (os.environ.get("SERVITIZE_CHROMIUM", ""), "chromium", "chromium-browser", "google-chrome")
    found = next((path for name in names if name and (path := shutil.which(name))), None)
    if found is None:
        pytest.skip("Chromium is not installed (Debian: apt-get install chromium)")
    # root has no sandbox; what is shown is our own
    arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=arguments)
        yield browser
        browser.close()


@dataclass
class Visitor:
    """A browser of its own (cookies, storage). ``complaints``: console errors, script errors, and requests to anywhere
    but the board."""

    context: BrowserContext
    url: str
    complaints: list[str] = field(default_factory=list)

    def page(self) -> Page:
        page = self.context.new_page()
        host = urlsplit(self.url).netloc
        page.on("console", lambda said: self.complaints.append(said.text) if said.type == "error" else None)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on(
            "request",
            lambda asked: None if urlsplit(asked.url).netloc == host else self.complaints.append(f"asked {asked.url}"),
        )
        return page

    def enter(self, key: str) -> Page:
        """Signed in without looking at the pages on the way."""
        answer = self.context.request.post(f"{self.url}/board/sign-in", form={"key": key}, max_redirects=0)
        assert answer.status == 303
        return self.page()

    def sign_in(self, key: str) -> Page:
        """Signed in by hand, and at the fleet."""
        page = self.page()
        page.goto(f"{self.url}/board/sign-in")
        page.get_by_label("Key").fill(key)
        page.get_by_role("button", name="Sign in").click()
        page.wait_for_url("**/board/fleet")
        return page

    def see(self, page: Page, path: str) -> Page:
        """Go there, and wait until all panels have their first answer."""
        page.goto(f"{self.url}/board/{path}")
        page.wait_for_selector("html[data-ready]", timeout=20_000)
        return page


VisitorFactory = Callable[..., Visitor]


@pytest.fixture
def browsers(chromium: Browser, serving: Serving) -> Iterator[VisitorFactory]:
    """``browsers(**context options)``: as many as a test wants."""
    made: list[Visitor] = []

    def make(**options: object) -> Visitor:
        options.setdefault("locale", "en-GB")
        options.setdefault("viewport", {"width": 1280, "height": 900})
        context = chromium.new_context(**options)  # type: ignore[arg-type]
        context.set_default_timeout(15_000)
        made.append(Visitor(context, serving.url))
        return made[-1]

    yield make
    for visitor in made:
        visitor.context.close()


@pytest.fixture
def visitor(browsers: VisitorFactory) -> Visitor:
    return browsers()
