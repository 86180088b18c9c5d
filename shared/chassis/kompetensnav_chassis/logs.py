"""Structured logs: one JSON object a line on standard output, with the ids that tie it to a trace."""

import logging
import sys
from typing import Any

import structlog

PERSONAL = {"email", "name", "phone", "personnummer", "address", "body", "payload"}
"""Keys that are never logged, whatever the caller says."""


def configure(service: str, level: int = logging.INFO) -> None:
    """Once per process: structlog and the standard library both write JSON lines."""

    def named(_: Any, __: str, entry: structlog.typing.EventDict) -> structlog.typing.EventDict:
        for key in PERSONAL & entry.keys():
            entry[key] = "[hidden]"
        return {"service": service, **entry}

    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        named,
        structlog.processors.format_exc_info,
    ]
    structlog.configure(
        processors=[*shared, structlog.processors.JSONRenderer()],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(sys.stdout),
    )
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.JSONRenderer(),
            ],
        )
    )
    logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)
