"""How log lines look: for people on a console, or as JSON, one object a line."""

import logging
import sys
from uuid import UUID

import structlog
from structlog.typing import EventDict, WrappedLogger

from handlers.log_context import concerned
from service.settings import Settings

#: Libraries whose every step is of no interest here.
_QUIET = ("aiokafka", "httpx", "httpcore", "uvicorn", "asyncio")


def _add_subject(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Add what the work under way is about, the deployment and the operation, where the line does not say it."""
    for name, value in concerned().items():
        event.setdefault(name, value)
    # JSON knows no ids.
    for name, value in event.items():
        if isinstance(value, UUID):
            event[name] = str(value)
    return event


def configure_logs(settings: Settings) -> None:
    """Send everything that is logged to standard error in the set format; what ``extra`` holds becomes fields."""
    shared: list[structlog.types.Processor] = [
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.ExtraAdder(),
        _add_subject,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    rendered: list[structlog.types.Processor] = [structlog.stdlib.ProcessorFormatter.remove_processors_meta]
    # Tracebacks without local variables: among those could be a secret.
    if settings.log_format == "json":
        without_locals = structlog.tracebacks.ExceptionDictTransformer(show_locals=False)
        rendered += [structlog.processors.ExceptionRenderer(without_locals), structlog.processors.JSONRenderer()]
    else:
        plain = structlog.dev.plain_traceback
        rendered.append(structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), exception_formatter=plain))
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(structlog.stdlib.ProcessorFormatter(foreign_pre_chain=shared, processors=rendered))
    logging.basicConfig(handlers=[handler], level=settings.log_level, force=True)
    for name in _QUIET:
        logging.getLogger(name).setLevel(max(logging.WARNING, logging.getLevelName(settings.log_level)))
