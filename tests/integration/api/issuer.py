"""A real OpenID provider in a process of its own, and people who sign in there."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx2


@dataclass(frozen=True)
class Provider:
    """``url`` is what its tokens name as issuer."""

    url: str

    def token(self, subject: str, audience: str, **claims: Any) -> str:
        """What somebody gets who signs in for the application ``audience``: the code flow, as a browser goes it."""
        back = "http://127.0.0.1:1/back"
        with httpx2.Client(base_url=self.url, timeout=10) as browser:
            browser.put(f"/users/{subject}", json={"email": f"{subject}@example.com", **claims}).raise_for_status()
            asked = {"client_id": audience, "response_type": "code", "redirect_uri": back, "scope": "openid email"}
            sent_back = browser.post("/oauth2/authorize", params=asked, data={"sub": subject})
            (code,) = parse_qs(urlsplit(sent_back.headers["location"]).query)["code"]
            order = {"grant_type": "authorization_code", "code": code, "redirect_uri": back, "client_id": audience}
            answer = browser.post("/oauth2/token", data={**order, "client_secret": "any"})
            answer.raise_for_status()
            return str(answer.json()["id_token"])


@contextmanager
def running(max_age: int = 3600) -> Iterator[Provider]:
    """Serve until the block ends; tokens live ``max_age`` seconds."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-W", "ignore", "-m", "oidc_provider_mock", "--port", str(port)]
    process = subprocess.Popen(
        [*command, "--token-max-age", str(max_age)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        url = f"http://127.0.0.1:{port}"
        deadline = time.monotonic() + 30
        while True:
            try:
                httpx2.get(f"{url}/jwks", timeout=2).raise_for_status()
                break
            except httpx2.HTTPError:
                assert process.poll() is None, "the provider ended before it began"
                assert time.monotonic() < deadline
                time.sleep(0.05)
        yield Provider(url)
    finally:
        process.terminate()
        process.wait(10)
