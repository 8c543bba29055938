"""The command line as people meet it: help that teaches, refusals in a sentence, exit codes, and a quick start."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer.main

from runtime.cli import run
from runtime.cli.app import app

HEAVY = {"numpy", "psycopg", "rich", "paho", "fastapi", "pydantic", "yaml", "scipy", "pint", "structlog", "jsonschema"}
EXPECTED = {
    "demo", "up", "down", "status", "doctor", "migrate", "replay", "evaluate demo",
    "device add", "device gateway", "device rotate", "device revoke", "device list", "device show",
    "equipment list", "equipment add", "equipment approve", "tenant add", "tenant list",
    "key create", "key list", "key revoke", "types list", "types show", "types check", "types add",
    "profile check", "profile add", "profile list", "profile remove",
    "deadletter list", "deadletter show", "deadletter replay",
}  # fmt: skip


def leaves() -> Iterator[tuple[str, str]]:
    """(words, help) of every command."""
    root = typer.main.get_command(app)
    for name, command in root.commands.items():  # type: ignore[attr-defined]
        for inner, sub in getattr(command, "commands", {"": command}).items():
            yield f"{name} {inner}".strip(), sub.help or ""


def test_every_promised_command_is_there() -> None:
    assert {name for name, _ in leaves()} >= EXPECTED


@pytest.mark.parametrize(("name", "text"), list(leaves()), ids=[name for name, _ in leaves()])
def test_every_help_teaches_with_an_example_of_the_command_itself(name: str, text: str) -> None:
    assert "Example" in text
    assert f"servitize {name}" in text


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys\nfrom runtime.cli import run\nrun(['--help'])\n"
        f"sys.exit(','.join(sorted({HEAVY!r} & set(sys.modules))) or None)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "servitize demo --seconds 90" in done.stdout


def test_no_arguments_show_the_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert run([]) in (0, 2)
    shown = capsys.readouterr()
    assert "First steps" in shown.out + shown.err


def test_wrong_usage_is_2(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["no-such-thing"]) == 2
    assert "No such command" in capsys.readouterr().err


def test_a_refusal_is_one_sentence_a_hint_and_1(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert run(["up", "--mqtt", "0.0.0.0", "--home", str(tmp_path)]) == 1
    shown = capsys.readouterr().err
    assert shown.startswith("servitize: the MQTT broker would take passwords in plain text")
    assert "→ give --tls-cert and --tls-key" in shown
    assert "Traceback" not in shown


def test_an_unexpected_error_names_the_file_that_has_the_traceback(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def explode(**_: object) -> None:
        raise RuntimeError("the unthinkable")

    monkeypatch.setattr("runtime.settings.choose_settings", explode)
    assert run(["up"]) == 1
    shown = capsys.readouterr().err
    assert "RuntimeError: the unthinkable" in shown
    assert "Traceback" not in shown
    path = Path(shown.split("written to ")[1].split(";")[0])
    try:
        text = path.read_text()
        assert "Traceback" in text
        assert "the unthinkable" in text
        assert path.stat().st_mode & 0o077 == 0
    finally:
        path.unlink()


class TestTypesCheck:
    def test_a_good_type_is_summed_up(self, capsys: pytest.CaptureFixture[str]) -> None:
        catalog = Path(__file__).resolve().parents[3] / "models" / "catalog"
        assert run(["types", "check", str(catalog / "metro-apu.yaml")]) == 0
        assert "is a good type: metro-apu version" in capsys.readouterr().out

    def test_all_mistakes_are_named_with_their_line(self, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
        file = tmp_path / "pump.yaml"
        file.write_text("type: pump\nversion: 1\npoints:\n  - {key: p, component: nowhere, unit: bar}\n")
        assert run(["types", "check", str(file)]) == 1
        shown = capsys.readouterr().err
        assert "line 1" in shown
        assert "name" in shown

    def test_a_missing_file_is_wrong_usage(self, tmp_path: Path) -> None:
        assert run(["types", "check", str(tmp_path / "none.yaml")]) == 2


def test_a_bundled_profile_is_good(capsys: pytest.CaptureFixture[str]) -> None:
    profiles = Path(__file__).resolve().parents[3] / "formats" / "profiles"
    assert run(["profile", "check", str(profiles / "skab.yaml"), "--json"]) == 0
    assert '"filter"' in capsys.readouterr().out


def test_replaying_dead_letters_asks_which(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert run(["deadletter", "replay", "--home", str(tmp_path)]) == 1
    assert "which dead letters?" in capsys.readouterr().err


def test_commands_for_a_running_instance_say_that_none_runs(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    home = tmp_path / "data"
    tmp_path.chmod(0o755)
    assert run(["deadletter", "replay", "--all", "--home", str(home)]) == 1
    shown = capsys.readouterr().err
    assert "servitize up" in shown or "may not enter" in shown
