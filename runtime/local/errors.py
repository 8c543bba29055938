"""What can go wrong with local processes, each with what to do about it."""

from __future__ import annotations

from core.errors import ConflictError, InvalidInputError, UnavailableError


class DataDirectoryError(UnavailableError):
    """The data directory cannot be made, entered or owned by the account that the local servers run as."""

    code = "data-directory"


class InstanceRunningError(ConflictError):
    """Another instance holds the lock of this data directory."""

    code = "already-running"


class ProcessFailedError(UnavailableError):
    """A local server ended or did not become ready; the message carries the last lines of its log."""

    code = "local-process"


class EngineVersionError(UnavailableError):
    """The data directory was made by a PostgreSQL major version of which no binaries are here."""

    code = "engine-version"


class ListenerRefusedError(InvalidInputError):
    """A listener beyond loopback was asked for without TLS and without saying that plain text is wanted."""

    code = "insecure-listener"


class AccessError(UnavailableError):
    """The broker did not carry out a change of access rights; rights are as they were for the entries named."""

    code = "broker-access"
