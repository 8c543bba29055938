"""Logs of our own processes: one line per event on standard output, which the supervisor keeps in ``logs/NAME.log``."""

from __future__ import annotations

import logging
import sys

import structlog


def log_as_lines(level: int = logging.INFO) -> None:
    """structlog and the standard library in one format, time in UTC first."""
    shared: list[structlog.typing.Processor] = [
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
    ]
    structlog.configure(
        processors=[*shared, structlog.processors.LogfmtRenderer(key_order=["timestamp", "level", "event"])],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(sys.stdout),
        cache_logger_on_first_use=True,
    )
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=shared,
        processor=structlog.processors.LogfmtRenderer(key_order=["timestamp", "level", "event"]),
    )
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(formatter)
    logging.basicConfig(level=level, handlers=[handler], force=True)
