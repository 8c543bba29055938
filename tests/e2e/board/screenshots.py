"""Pictures of every board, light and dark, on a desk, a phone and a wall, to look at after every change of their look.

    python -m tests.e2e.board.screenshots            all of them, into build/screenshots
    python -m tests.e2e.board.screenshots --docs     the few small ones of docs/images, made anew

The machines are the demonstration's after thirty hours; nothing but PostgreSQL and the API runs.
"""

from __future__ import annotations

import argparse
import itertools
import shutil
from pathlib import Path
from typing import Any, Final

import psycopg
from playwright.sync_api import sync_playwright

from runtime.local.accounts import service_account
from runtime.local.paths import DataDirectory
from runtime.local.postgres import LocalPostgres
from services.api.settings import ApiSettings
from storage import admin
from storage.migrate import API, WRITER, migrate
from tests.conftest import clean_environ, short_directory
from tests.e2e.board.conftest import Serving
from tests.support.demo_fleet import install, play, store

ROOT: Final = Path(__file__).resolve().parents[3]
SIZES: Final = {"desk": (1440, 900), "phone": (390, 844), "wall": (2560, 1440)}
PAGES: Final = {
    "sign-in": "sign-in", "fleet": "fleet", "list": "alarm-list", "machine": "equipment", "component": "component",
    "compressor": "compressor", "train": "train", "alarms": "alarms", "operations": "operations",
}  # fmt: skip
FOR_DOCS: Final = (
    ("board-fleet", "fleet", "light", (1180, 760), "en-GB"),
    ("board-component", "component", "dark", (1180, 700), "en-GB"),
    ("board-compressor", "compressor", "light", (1180, 760), "en-GB"),
    ("board-phone", "alarm-list", "dark", (390, 760), "en-GB"),
    ("board-fleet-zh", "fleet", "light", (1180, 760), "zh-CN"),
)
"""Name, page, theme, size and language of those in docs/images: under 150 kB each."""


def main() -> None:
    parser = argparse.ArgumentParser(description="Pictures of every board.")
    parser.add_argument("--docs", action="store_true", help="only the small ones of docs/images")
    parser.add_argument("--only", default="", metavar="PAGES", help=f"of {', '.join(PAGES)}; separated by commas")
    chosen = parser.parse_args()
    root = short_directory()
    try:
        environ = clean_environ()
        with (
            DataDirectory(root, service_account(environ)) as data,
            LocalPostgres(data, port=0, settings={"fsync": "off"}, environ=environ) as postgres,
        ):
            _with(postgres, chosen)
    finally:
        shutil.rmtree(root, ignore_errors=True)


def _with(postgres: LocalPostgres, chosen: argparse.Namespace) -> None:
    passwords = {role: postgres.password(role) for role in (API, WRITER)}
    migrate(postgres.dsn(), passwords)
    story = install(postgres.dsn())
    store(postgres.dsn(), postgres.dsn(WRITER), postgres.dsn(API), story, play(story))
    with psycopg.connect(postgres.dsn()) as connection:
        # as if the last of it had just come in
        connection.execute("SET ROLE servitize_owner")
        connection.execute("UPDATE servitize.latest_reading SET received_at = now()")
        key = admin.create_api_key(connection, story.tenant, "pictures", scopes=["read", "operate"], role="operator")
    serving = Serving(ApiSettings(postgres.dsn(API), grace=1))
    serving.start()
    try:
        _look(serving.url, key.text, chosen)
    finally:
        serving.stop()


def _look(url: str, key: str, chosen: argparse.Namespace) -> None:
    wanted = [page for page in chosen.only.split(",") if page] or list(PAGES)
    if chosen.docs:
        folder = ROOT / "docs" / "images"
        orders = [(f"{name}.png", page, theme, size, locale, False) for name, page, theme, size, locale in FOR_DOCS]
    else:
        folder = ROOT / "build" / "screenshots"
        orders = [
            (f"{name}-{theme}-{size}.png", PAGES[name], theme, SIZES[size], "en-GB", True)
            for name, theme, size in itertools.product(wanted, ("light", "dark"), SIZES)
        ]
    folder.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright:
        found = shutil.which("chromium") or shutil.which("google-chrome")
        browser = playwright.chromium.launch(executable_path=found, args=["--no-sandbox"])
        for name, path, theme, (width, height), locale, whole in orders:
            options: dict[str, Any] = {"color_scheme": theme, "locale": locale}
            context = browser.new_context(viewport={"width": width, "height": height}, **options)
            if path != "sign-in":
                context.request.post(f"{url}/board/sign-in", form={"key": key}, max_redirects=0)
            page = context.new_page()
            page.goto(f"{url}/board/{path}")
            if path != "sign-in":
                page.wait_for_selector("html[data-ready]", timeout=60_000)
                page.wait_for_selector("#live[data-state=live]", timeout=60_000)
            page.wait_for_timeout(300)
            page.screenshot(path=folder / name, full_page=whole)
            print(f"{name}: {(folder / name).stat().st_size / 1000:.0f} kB")
            context.close()
        browser.close()


if __name__ == "__main__":
    main()
