"""What the documentation tells people to paste works as pasted."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import textwrap
from pathlib import Path

import pytest

from core.time import SECOND
from services.api.settings import ApiSettings
from tests.integration.api.conftest import T0, Running, World

ROOT = Path(__file__).parents[3]

pytestmark = [pytest.mark.integration, pytest.mark.documented]


def pasted(page: str) -> list[str]:
    """The shell blocks of a page, in order."""
    return re.findall(r"```sh\n(.*?)```", (ROOT / page).read_text(encoding="utf-8"), re.DOTALL)


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed (Debian: apt-get install curl)")
def test_reading_alarms_by_api(api: Running, world: World) -> None:
    world.transition(world.a.equipment, "seal/leakage/high", "raised", T0 + 4000 * SECOND)
    settings, *steps = pasted("docs/how-to/read-alarms-by-api.md")
    assert "API=" in settings
    script = "\n".join(["set -e", f"API={api.url}", f"KEY={world.a.keys['all']}", *steps])
    done = subprocess.run(["sh", "-c", script], capture_output=True, text=True, env={**os.environ, "LC_ALL": "C.UTF-8"})
    assert done.returncode == 0, done.stderr + done.stdout
    assert '"title":"seal/leakage/high is raised"' in done.stdout
    assert '"to_state":"acknowledged"' in done.stdout
    assert '"reason":"sensor is being replaced"' in done.stdout
    for heard in ("event: ready", "event: alarm", "id: "):
        assert heard in done.stdout


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed (Debian: apt-get install curl)")
@pytest.mark.parametrize("page", ["notifications", "single-sign-on"])
def test_notifications_and_single_sign_on(api: Running, world: World, page: str) -> None:
    steps = "\n".join(textwrap.dedent(block) for block in pasted(f"docs/how-to/{page}.md"))
    steps = steps.replace("API=http://127.0.0.1:8000", f"API={api.url}").replace("sv_…", world.a.keys["all"])
    done = subprocess.run(["sh", "-ec", steps], capture_output=True, text=True, env={**os.environ, "LC_ALL": "C.UTF-8"})
    assert done.returncode == 0, done.stderr + done.stdout
    assert ("Works directory" if page == "single-sign-on" else '"stage":1') in done.stdout


def test_the_reference_page_names_the_limits_that_hold() -> None:
    page = (ROOT / "docs/reference/api.md").read_text(encoding="utf-8")
    settings = ApiSettings("")
    for said in (
        f"at most {settings.page_max}, {settings.page_default} if not given",
        f"bodies {settings.body_limit // 1024} KiB",
        f"{settings.streams_per_tenant} streams",
        f"{settings.statement_timeout:.0f} s per statement",
        f"every {settings.heartbeat:.0f} s",
        f"{settings.quota} requests a minute",
        f"{settings.tenant_quota:,} per organisation",
    ):
        assert said in page, said
