"""The table of assertions in the reference says what the tests say, and forgets none that binds a host application."""

from __future__ import annotations

import re
from pathlib import Path

import yaml

from formats.profile import parse_profile
from ingest.sparkplug.limits import SparkplugSettings
from tests.unit.sparkplug import test_assertions

REFERENCE = Path(__file__).parents[3] / "docs" / "reference" / "sparkplug.md"
TEXT = REFERENCE.read_text(encoding="utf-8")
TABLE = dict(re.findall(r"^\| `([^`]+)` \| (.+) \|$", TEXT.split("## Assertions")[1], re.MULTILINE))

PREFIXES = {
    "host-topic-phid-birth-": "message qos retain topic sub-required required payload payload-timestamp",
    "host-topic-phid-death-": "qos retain topic required payload payload-timestamp-connect "
    "payload-timestamp-disconnect-clean payload-timestamp-disconnect-with-no-disconnect-packet",
    "message-flow-phid-sparkplug-": "clean-session-311 clean-session-50 subscription state-publish "
    "state-publish-payload state-publish-payload-timestamp",
    "message-flow-hid-sparkplug-": "state-message-delivered",
    "operational-behavior-edge-node-termination-host-action-": "ndeath-node-offline ndeath-node-tags-stale "
    "ndeath-devices-offline ndeath-devices-tags-stale ddeath-devices-offline ddeath-devices-tags-stale",
    "operational-behavior-host-reordering-": "param start rebirth success",
    "operational-behavior-primary-application-state-with-multiple-servers-": "state-subs state",
    "operational-behavior-host-application-": "host-id connect-will connect-will-topic connect-will-payload "
    "connect-will-qos connect-will-retained connect-birth connect-birth-topic connect-birth-payload connect-birth-qos "
    "connect-birth-retained multi-server-timestamp termination death-topic death-payload death-qos death-retained "
    "disconnect-intentional",
    "operational-behavior-data-commands-": "ncmd-rebirth-verb ncmd-rebirth-name ncmd-rebirth-value ncmd-verb "
    "ncmd-metric-name ncmd-metric-value dcmd-verb dcmd-metric-name dcmd-metric-value",
    "topics-ncmd-": "mqtt timestamp payload",
    "topics-dcmd-": "mqtt timestamp payload",
    "payloads-ncmd-": "timestamp seq qos retain",
    "payloads-dcmd-": "timestamp seq qos retain",
    "payloads-state-": "will-message will-message-qos will-message-retain will-message-payload subscribe birth "
    "birth-payload",
    "": "intro-sparkplug-host-state components-ph-state payloads-name-cmd-requirement conformance-primary-host",
}
HOST = {prefix + rest for prefix, names in PREFIXES.items() for rest in names.split()}
"""The assertions of Sparkplug 3.0 whose subject is a host application."""


def ids_with_a_test() -> set[str]:
    found: set[str] = set()
    for function in vars(test_assertions).values():
        for mark in getattr(function, "pytestmark", []):
            if mark.args and mark.args[0] == "assertion":
                found |= set(mark.args[1])
    return found


def test_every_assertion_for_a_host_application_is_in_the_table() -> None:
    assert not HOST - set(TABLE)


def test_what_is_kept_has_a_test_and_what_has_a_test_is_kept() -> None:
    assert {name for name, how in TABLE.items() if how == "kept"} == ids_with_a_test()


def test_what_does_not_apply_says_why() -> None:
    for how in TABLE.values():
        assert how == "kept" or re.fullmatch(r"does not apply: .{15,}", how)


def test_the_profile_shown_is_a_good_one() -> None:
    found = re.search(r"```yaml\n(.*?)```", TEXT, re.DOTALL)
    assert found is not None
    profile = parse_profile(yaml.safe_load(found[1]))
    assert profile.sparkplug is not None
    assert profile.filter == "spBv1.0/PressShop/#"
    assert profile.sparkplug.equipment("n1", "press-7") == "n1-press-7"
    assert profile.sparkplug.mapped("Speed", "press-7") == ("main_speed", None)
    assert profile.sparkplug.mapped("Speed", "press-8") == (None, None)


def test_the_limits_shown_are_the_limits() -> None:
    settings = SparkplugSettings()
    limits = TEXT.split("## Limits")[1].split("##")[0]
    for shown in (settings.max_metrics, settings.nodes_per_group, settings.metrics_per_group, settings.max_text):
        assert f"{shown:,}" in limits
    assert settings.max_bytes == 2**20
    assert settings.reorder_timeout == 2_000_000
