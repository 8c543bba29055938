"""Apache Kafka's jars: fetched by Maven as deploy/kafka/pom.xml says, once per version, into a cache of the user's."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from core.errors import UnavailableError

DEPLOY: Final = Path(__file__).resolve().parents[2] / "deploy" / "kafka"
GET_JAVA: Final = "install a JDK 17 or newer and Maven (Debian: apt-get install default-jre-headless maven)"
_FETCH_SECONDS: Final = 600.0
_ATTEMPTS: Final = 3


def find_java(environ: Mapping[str, str] = os.environ) -> str:
    """The ``java`` to run Kafka with; raises :class:`~core.errors.UnavailableError` where there is none."""
    home = environ.get("JAVA_HOME")
    if home and (Path(home) / "bin" / "java").is_file():
        return str(Path(home) / "bin" / "java")
    found = shutil.which("java", path=environ.get("PATH"))
    if found is None:
        raise UnavailableError("a local Kafka needs Java, and there is none", hint=GET_JAVA)
    return found


def fetch_jars(environ: Mapping[str, str] = os.environ) -> Path:
    """The directory of the jars, fetched where they are missing.

    ``SERVITIZE_KAFKA_JARS`` names one that is there already. Else the cache is below ``XDG_CACHE_HOME`` (``~/.cache``);
    several processes may ask at once, one of them fetches. Raises :class:`~core.errors.UnavailableError`.
    """
    if named := environ.get("SERVITIZE_KAFKA_JARS"):
        if not list(Path(named).glob("kafka_*.jar")):
            raise UnavailableError(f"SERVITIZE_KAFKA_JARS is {named}, where no kafka_*.jar is", hint="correct it")
        return Path(named)
    pom = DEPLOY / "pom.xml"
    if not pom.is_file():
        raise UnavailableError(
            "a local Kafka is started from a clone of the repository only", hint="use a Kafka of yours instead"
        )
    base = Path(environ.get("XDG_CACHE_HOME") or Path(environ.get("HOME") or "~").expanduser() / ".cache")
    place = base / "servitize" / f"kafka-{hashlib.sha256(pom.read_bytes()).hexdigest()[:12]}"
    if not place.is_dir():
        place.parent.mkdir(parents=True, exist_ok=True)
        with _one_at_a_time(place.with_suffix(".lock")):
            if not place.is_dir():
                _fetch(pom, place, environ)
    return place


@contextlib.contextmanager
def _one_at_a_time(path: Path) -> Iterator[None]:
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _fetch(pom: Path, place: Path, environ: Mapping[str, str]) -> None:
    maven = shutil.which("mvn", path=environ.get("PATH"))
    if maven is None:
        raise UnavailableError("the jars of Kafka are fetched by Maven, and there is none", hint=GET_JAVA)
    partial = place.with_suffix(".part")
    shutil.rmtree(partial, ignore_errors=True)
    command = [
        *(maven, "--batch-mode", "--quiet", "--no-transfer-progress", "--strict-checksums", "--file", str(pom)),
        *("dependency:copy-dependencies", "-DincludeScope=runtime", f"-DoutputDirectory={partial}"),
    ]
    said = ""
    for _ in range(_ATTEMPTS):
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=_FETCH_SECONDS, check=False, env=dict(environ)
        )
        if done.returncode == 0 and list(partial.glob("kafka_*.jar")):
            partial.rename(place)
            return
        said = (done.stdout + done.stderr).strip()[-800:]
    raise UnavailableError(f"Maven could not fetch Kafka: {said}", hint="is there a way to Maven's repository?")
