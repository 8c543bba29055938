"""The house itself: what every room owes, what the locks promise, what the deployment must never do."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
ROOMS: list[str] = PYPROJECT["tool"]["importlinter"]["root_packages"]
LOCKS = ["bootstrap", "build", "runtime", "dev"]
MAX_LINES = 600

# In two halves, so that this file does not hold what it forbids.
REGISTRY_HOSTS = [
    left + right
    for left, right in [
        ("pypi", ".org"),
        ("python", "hosted.org"),
        ("npm", "js.org"),
        ("npm", "js.com"),
        ("crates", ".io"),
        ("proxy.go", "lang.org"),
        ("repo.maven", ".apache.org"),
        ("repo1.", "maven.org"),
        ("deb.", "debian.org"),
        ("docker", ".io"),
        ("ghcr", ".io"),
        ("quay", ".io"),
    ]
]
MACHINE_PATH = re.compile(r"(?<![\w.~-])/(?:work|root|home|Users)/\w")


def tracked_files() -> list[Path]:
    """Text files that git tracks; in a copy without git, every file outside hidden folders."""
    listing = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=False)
    if listing.returncode == 0:
        names = [Path(os.fsdecode(name)) for name in listing.stdout.split(b"\0") if name]
    else:
        found = (path.relative_to(ROOT) for path in ROOT.rglob("*"))
        names = [name for name in found if not any(part.startswith(".") for part in name.parts)]
    return [ROOT / name for name in names if (ROOT / name).is_file()]


def compose() -> dict[str, Any]:
    document = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))
    assert isinstance(document, dict)
    return document


class TestRooms:
    def test_every_list_of_rooms_names_the_same_rooms(self) -> None:
        makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
        in_makefile = re.search(r"^ROOMS := (.*)$", makefile, re.MULTILINE)
        assert in_makefile is not None
        on_disk = sorted(path.parent.name for path in ROOT.glob("*/__init__.py") if path.parent.name != "tests")
        assert on_disk == sorted(ROOMS)
        assert PYPROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"] == ROOMS
        assert [name for name in PYPROJECT["tool"]["mypy"]["files"] if name != "tests"] == ROOMS
        assert in_makefile.group(1).split() == ROOMS

    def test_the_order_of_imports_names_every_room_once(self) -> None:
        layers = PYPROJECT["tool"]["importlinter"]["contracts"][0]["layers"]
        named = [room.strip() for layer in layers for room in layer.split("|")]
        assert sorted(named) == sorted(ROOMS)

    @pytest.mark.parametrize("room", ROOMS)
    def test_a_room_says_what_it_is_for(self, room: str) -> None:
        docstring = ast.get_docstring(ast.parse((ROOT / room / "__init__.py").read_text(encoding="utf-8")))
        assert docstring is not None
        assert len(docstring) >= 80

    @pytest.mark.parametrize("room", ROOMS)
    def test_no_module_is_too_long_to_read(self, room: str) -> None:
        lengths = {
            str(path.relative_to(ROOT)): len(path.read_text(encoding="utf-8").splitlines())
            for path in (ROOT / room).rglob("*.py")
            if not path.name.endswith("_pb2.py")
        }
        assert {name: lines for name, lines in lengths.items() if lines >= MAX_LINES} == {}


class TestLocks:
    @pytest.mark.parametrize("name", LOCKS)
    def test_every_package_is_pinned_with_a_hash(self, name: str) -> None:
        text = (ROOT / "requirements" / f"{name}.lock").read_text(encoding="utf-8")
        entries = [entry for entry in re.split(r"\n(?=\S)", text) if entry.strip() and not entry.startswith("#")]
        assert entries
        for entry in entries:
            assert re.match(r"[a-z0-9-]+(\[[a-z,-]+\])?==\S+", entry), entry
            assert "--hash=sha256:" in entry, entry

    @pytest.mark.parametrize("name", LOCKS)
    def test_a_lock_holds_no_address(self, name: str) -> None:
        text = (ROOT / "requirements" / f"{name}.lock").read_text(encoding="utf-8")
        assert "://" not in text
        assert "--index" not in text
        assert "--find-links" not in text

    def test_developers_run_exactly_what_users_run(self) -> None:
        def pins(name: str) -> set[str]:
            text = (ROOT / "requirements" / f"{name}.lock").read_text(encoding="utf-8")
            return {line.removesuffix(" \\") for line in text.splitlines() if line and not line.startswith((" ", "#"))}

        assert pins("runtime") <= pins("dev")

    def test_the_code_generator_is_no_newer_than_the_protobuf_runtime_allows(self) -> None:
        text = (ROOT / "requirements" / "dev.lock").read_text(encoding="utf-8")
        assert re.search(r"^grpcio-tools==", text, re.MULTILINE)
        assert re.search(r"^protobuf==7\.36\.2 ", text, re.MULTILINE)


class TestTrackedFiles:
    def test_none_names_a_package_registry_or_a_path_of_one_machine(self) -> None:
        offences = []
        for path in tracked_files():
            try:
                text = path.read_text(encoding="utf-8")
            except UnicodeDecodeError:
                continue
            for number, line in enumerate(text.splitlines(), start=1):
                if any(host in line for host in REGISTRY_HOSTS) or MACHINE_PATH.search(line):
                    offences.append(f"{path.relative_to(ROOT)}:{number}: {line.strip()[:120]}")
        assert offences == []

    @pytest.mark.parametrize(
        "name", [".ci/run", "requirements/install.sh", "deploy/secrets.sh", "deploy/device-certificate.sh"]
    )
    def test_scripts_can_be_run_and_parse(self, name: str) -> None:
        script = ROOT / name
        assert os.access(script, os.X_OK)
        shell = "bash" if "bash" in script.read_text(encoding="utf-8").splitlines()[0] else "sh"
        checked = subprocess.run([shell, "-n", script], capture_output=True, text=True, check=False)
        assert checked.returncode == 0, checked.stderr

    def test_links_between_documents_lead_somewhere(self) -> None:
        dead = []
        for page in [ROOT / "README.md", ROOT / "CHANGELOG.md", *(ROOT / "docs").rglob("*.md")]:
            for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
                if "://" not in target and not (page.parent / target).exists():
                    dead.append(f"{page.relative_to(ROOT)} -> {target}")
        assert dead == []

    def test_the_readme_fits_a_screen_and_names_the_two_commands(self) -> None:
        readme = (ROOT / "README.md").read_text(encoding="utf-8")
        assert len(readme.splitlines()) <= 70
        assert "make demo" in readme
        assert "make test" in readme


class TestCompose:
    def test_every_port_is_bound_to_loopback(self) -> None:
        for name, service in compose()["services"].items():
            for port in service.get("ports", []):
                assert str(port).startswith("127.0.0.1:"), f"{name} shows {port} to other machines"

    def test_a_password_is_required_and_never_has_a_default(self) -> None:
        text = (ROOT / "docker-compose.yml").read_text(encoding="utf-8")
        for name, operator in re.findall(r"(?<!\$)\$\{(\w+)(:?[-?+]?)", text):
            if re.search("PASSWORD|SECRET|TOKEN|KEY", name):
                assert operator == ":?", f"${{{name}}} must be required, with a word on how to set it"

    def test_no_password_stands_in_the_file(self) -> None:
        for name, service in compose()["services"].items():
            for key, value in service.get("environment", {}).items():
                if re.search("PASSWORD|SECRET|TOKEN|KEY", key):
                    assert str(value).startswith("${"), f"{name}: {key} is written out"
                # In an address, what stands between the user's colon and the @ is a password.
                for password in re.findall(r"://[^:/@\s]*:(.+)@", str(value)):
                    assert password.startswith("${"), f"{name}: the password in {key} is written out"

    def test_what_runs_on_is_watched_and_what_it_waits_for_is_ready(self) -> None:
        services = compose()["services"]
        for name, service in services.items():
            if service.get("restart") != "no":
                assert "healthcheck" in service, f"{name} has no healthcheck"
            for other, how in service.get("depends_on", {}).items():
                once = services[other].get("restart") == "no"
                assert how["condition"] == ("service_completed_successfully" if once else "service_healthy")

    def test_images_are_pinned_to_a_version(self) -> None:
        for name, service in compose()["services"].items():
            if "build" not in service:
                assert re.search(r":\d+\.\d+\.\d+", service["image"]), f"{name}: {service['image']}"

    def test_our_image_does_not_run_as_root(self) -> None:
        users = re.findall(r"^USER (\S+)$", (ROOT / "deploy/Dockerfile").read_text(encoding="utf-8"), re.MULTILINE)
        assert users
        assert not users[-1].startswith(("0", "root"))


class TestBroker:
    def test_the_broker_keeps_what_it_has_acknowledged(self) -> None:
        lines = (ROOT / "deploy/mosquitto/mosquitto.conf").read_text(encoding="utf-8").splitlines()
        settings = dict(line.split(maxsplit=1) for line in lines if line and not line.startswith("#"))
        assert settings["persistence"] == "true"
        assert settings["max_queued_messages"] == "0"
        assert int(settings["max_queued_bytes"]) > 0
        assert 0 < int(settings["autosave_interval"]) <= 10
        assert settings["allow_anonymous"] == "false"
