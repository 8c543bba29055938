"""A real Apache Kafka on this machine: one process, broker and controller in one (KRaft), on loopback.

For tests and ``servitize cluster up``. In service Kafka is somebody's cluster with replication; one broker without it
keeps what it acknowledged when its process is killed, and not when the machine loses power.
"""

from __future__ import annotations

import base64
import os
import secrets
import signal
import socket
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from core.errors import UnavailableError
from runtime.local.accounts import Account, first_unreachable
from runtime.local.kafka_jars import DEPLOY, fetch_jars, find_java
from runtime.local.paths import DataDirectory
from runtime.local.ports import choose_port
from runtime.local.process import ChildProcess, end_leftovers, run_tool

HEAP: Final = "-Xmx512m"
MAX_MESSAGE: Final = 8 * 1024 * 1024
"""The largest record: 5,000 readings that do not compress are 100 kB, but a record may carry dead letters."""
_FAST_START: Final = ("-Xms128m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xshare:auto")
_SETTINGS: Final = {
    "process.roles": "broker,controller",
    "node.id": "1",
    "inter.broker.listener.name": "PLAINTEXT",
    "controller.listener.names": "CONTROLLER",
    "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
    "auto.create.topics.enable": "false",  # 64 partitions are for life: none comes into being by a typing error
    "offsets.topic.replication.factor": "1",
    "offsets.topic.num.partitions": "4",
    "transaction.state.log.replication.factor": "1",
    "transaction.state.log.min.isr": "1",
    "min.insync.replicas": "1",
    "group.initial.rebalance.delay.ms": "0",
    "group.min.session.timeout.ms": "3000",
    "num.network.threads": "2",
    "num.io.threads": "2",
    "num.recovery.threads.per.data.dir": "2",
    "message.max.bytes": str(MAX_MESSAGE),
    "replica.fetch.max.bytes": str(MAX_MESSAGE),
    "log.retention.check.interval.ms": "1000",
    "file.delete.delay.ms": "1000",
}


class LocalKafka:
    """One Kafka for one data directory, as a context manager or with ``start``/``stop``/``kill``.

    ``external`` ``host:port[,…]`` of a cluster of somebody's: then nothing is started. ``port`` 0: any free one.
    ``fast_start`` gives up the optimising compiler for a start in half the time; not for measuring.
    """

    def __init__(
        self,
        data: DataDirectory,
        *,
        external: str | None = None,
        port: int | None = None,
        settings: Mapping[str, str] | None = None,
        fast_start: bool = False,
        environ: Mapping[str, str] = os.environ,
        on_exit: Callable[[ChildProcess, int], None] | None = None,
    ) -> None:
        self.data = data
        self.external = external
        self._wanted_port = port
        self._settings = dict(settings or {})
        self._fast_start = fast_start
        self._environ = environ
        self._on_exit = on_exit
        self._child: ChildProcess | None = None
        self._port = 0

    @property
    def bootstrap(self) -> str:
        """``host:port`` to give to clients."""
        if self.external is not None:
            return self.external
        if not self._port:
            raise UnavailableError("Kafka has not been started")
        return f"127.0.0.1:{self._port}"

    @property
    def pid(self) -> int | None:
        return self._child.pid if self._child is not None else None

    @property
    def running(self) -> bool:
        return self.external is not None or (self._child is not None and self._child.running)

    def start(self) -> None:
        """Bring it up; returns when it accepts connections. The port is the one of last time where that is free."""
        if self.running:
            return
        java, jars = find_java(self._environ), fetch_jars(self._environ)
        directory = self.data.directory("kafka")
        end_leftovers(directory, "java")
        account = self.data.account
        if account is not None and any(first_unreachable(place, account) for place in (jars, Path(java), DEPLOY)):
            account = None
        self._port = self._port or choose_port(self.data, "kafka", wanted=self._wanted_port)
        controller = choose_port(self.data, "kafka-controller", wanted=self._wanted_port and 0)
        config = self._configure(directory, controller)
        child = ChildProcess(
            "kafka",
            [*self._java(java, jars), "kafka.Kafka", config],
            directory=directory,
            log=self.data.log_path("kafka"),
            account=account,
            environment={"PATH": self._environ.get("PATH", ""), "LC_ALL": "C", "TZ": "UTC"},
            ready=self._listens,
            ready_timeout=120.0,
            stop_signal=signal.SIGTERM,
            stop_timeout=30.0,
            on_exit=self._on_exit,
        )
        if not (directory / "log" / "meta.properties").exists():
            self._format([*self._java(java, jars), "kafka.tools.StorageTool"], config, account)
        child.start()
        self._child = child
        self.data.update_state("servers", kafka={"pid": child.pid})

    def stop(self) -> None:
        """End it in order."""
        if self._child is not None:
            self._child.stop()
            self._child = None
            self.data.update_state("servers", kafka=None)

    def kill(self) -> None:
        """End it as a crash would."""
        if self._child is not None:
            self._child.kill()
            self._child = None

    def __enter__(self) -> Self:
        if self.external is None:
            self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    # -- how it is set up ------------------------------------------------------------------------------------

    def _java(self, java: str, jars: Path) -> list[str]:
        flags = [HEAP, *(_FAST_START if self._fast_start else ("-XX:+UseSerialGC",))]
        return [java, *flags, f"-Dlog4j2.configurationFile={DEPLOY / 'log4j2.properties'}", "-cp", f"{jars}/*"]

    def _configure(self, directory: Path, controller: int) -> str:
        settings = _SETTINGS | {
            "listeners": f"PLAINTEXT://127.0.0.1:{self._port},CONTROLLER://127.0.0.1:{controller}",
            "advertised.listeners": f"PLAINTEXT://127.0.0.1:{self._port}",
            "controller.quorum.voters": f"1@127.0.0.1:{controller}",
            "log.dirs": str(directory / "log"),
        }
        text = "".join(f"{name}={value}\n" for name, value in (settings | self._settings).items())
        return str(self.data.write_private(directory / "server.properties", text))

    def _format(self, tool: list[str], config: str, account: Account | None) -> None:
        """Kafka wants its storage prepared before the first start."""
        number = base64.urlsafe_b64encode(b"\1" + secrets.token_bytes(15)).rstrip(b"=").decode()
        command = [*tool, "format", "--cluster-id", number, "--config", config]
        done = run_tool(command, directory=Path(config).parent, account=account)
        if done.returncode:
            raise UnavailableError(f"Kafka's storage could not be prepared: {(done.stderr or done.stdout)[-600:]}")

    def _listens(self) -> bool:
        with socket.socket() as probe:
            probe.settimeout(0.2)
            return probe.connect_ex(("127.0.0.1", self._port)) == 0
