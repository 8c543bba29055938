"""A broker that somebody else runs: how our own processes enter it, and as whom its accounts are changed."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace

from runtime.local.access import CONTROL_USER
from runtime.local.endpoints import BrokerEndpoint, parse_url, with_tls_files
from runtime.local.paths import DataDirectory

URL, CONTROL_URL = "SERVITIZE_MQTT_URL", "SERVITIZE_MQTT_CONTROL_URL"


def service_endpoint(data: DataDirectory, environ: Mapping[str, str] = os.environ) -> BrokerEndpoint | None:
    """Where ``SERVITIZE_MQTT_URL`` says; None where it says nothing.

    A user without a password in the address has the secret of the user's name, if that was given
    (``SERVITIZE_SECRETS``), else none (it comes by a client certificate).
    """
    url = environ.get(URL)
    return None if not url else _complete(data, parse_url(url), environ)


def control_endpoint(data: DataDirectory, environ: Mapping[str, str] = os.environ) -> BrokerEndpoint | None:
    """As whom the accounts of that broker are changed; None where we may not.

    ``SERVITIZE_MQTT_CONTROL_URL``, else the broker of ``SERVITIZE_MQTT_URL`` with the user ``servitize-control``, if
    its secret was given. The broker must be a Mosquitto with the dynamic security plugin.
    """
    if url := environ.get(CONTROL_URL):
        return _complete(data, parse_url(url, CONTROL_URL), environ)
    service, password = service_endpoint(data, environ), data.given_secret(CONTROL_USER)
    if service is None or password is None:
        return None
    return replace(service, username=CONTROL_USER, password=password)


def _complete(data: DataDirectory, endpoint: BrokerEndpoint, environ: Mapping[str, str]) -> BrokerEndpoint:
    if endpoint.username and not endpoint.password:
        endpoint = replace(endpoint, password=data.given_secret(endpoint.username))
    return with_tls_files(endpoint, environ)
