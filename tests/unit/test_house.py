"""The house itself: what every room owes, what the locks promise, what the deployment must never do."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import tomllib
from pathlib import Path

import pytest

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


class TestRooms:
    def test_every_list_of_rooms_names_the_same_rooms(self) -> None:
        makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
        in_makefile = re.search(r"^ROOMS := (.*)$", makefile, re.MULTILINE)
        assert in_makefile is not None
        on_disk = sorted(path.parent.name for path in ROOT.glob("*/__init__.py") if path.parent.name != "tests")
        assert on_disk == sorted(ROOMS)
        shipped = PYPROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
        assert shipped == [*ROOMS, "client/servitize_client"], "the client is a package of its own, shipped along"
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


class TestBroker:
    def test_the_broker_keeps_what_it_has_acknowledged(self) -> None:
        lines = (ROOT / "deploy/mosquitto/mosquitto.conf").read_text(encoding="utf-8").splitlines()
        settings = dict(line.split(maxsplit=1) for line in lines if line and not line.startswith("#"))
        assert settings["persistence"] == "true"
        assert settings["max_queued_messages"] == "0"
        assert int(settings["max_queued_bytes"]) > 0
        assert 0 < int(settings["autosave_interval"]) <= 10
        assert settings["allow_anonymous"] == "false"
