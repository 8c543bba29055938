"""Short questions to what runs: does the API answer, does the broker let somebody in. Never raises; False means no."""

from __future__ import annotations

import json
import ssl
import urllib.error
import urllib.request
from typing import Any

from runtime.endpoints import ApiEndpoint

TIMEOUT_SECONDS = 2.0


def api_is_alive(api: ApiEndpoint) -> bool:
    """Whether ``/healthz`` answers 200."""
    return api_answer(api, "/healthz") is not None


def api_answer(api: ApiEndpoint, path: str, key: str | None = None, timeout: float = TIMEOUT_SECONDS) -> Any | None:
    """The JSON (or text) of a GET, None where there is no answer or it is no success."""
    request = urllib.request.Request(api.url + path)  # noqa: S310 - http(s) by construction
    if key is not None:
        request.add_header("Authorization", f"Bearer {key}")
    context = None
    if api.certificate is not None:
        # We hold the certificate ourselves; its name is for those outside, and we ask by loopback.
        context = ssl.create_default_context(cafile=api.certificate)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    try:
        with urllib.request.urlopen(request, timeout=timeout, context=context) as answer:  # noqa: S310
            body = answer.read().decode()
    except (OSError, ValueError):
        return None
    try:
        return json.loads(body)
    except ValueError:
        return body
