"""Structured logs on the standard library's logging: one line an event, as text or as JSON.

An event is a short sentence with fields beside it (`log.info("peer connected", extra={"peer": …})`);
both formats print the fields in the order given. Secrets are never fields.
"""

from __future__ import annotations

import json
import logging
import sys
import time
from typing import Final

from licet.errors import LicetError

ROOT: Final = "licet"
_PLAIN: Final = frozenset(logging.makeLogRecord({}).__dict__) | {"message", "asctime", "taskName"}


def logger(name: str) -> logging.Logger:
    """The logger of one part of the node."""
    return logging.getLogger(f"{ROOT}.{name}")


def _fields(record: logging.LogRecord) -> dict[str, object]:
    return {key: value for key, value in record.__dict__.items() if key not in _PLAIN}


def _stamp(created: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(created)) + f".{int(created * 1000) % 1000:03d}Z"


class TextFormatter(logging.Formatter):
    """`time level part: sentence  field=value …`"""

    def format(self, record: logging.LogRecord) -> str:
        part = record.name.removeprefix(ROOT + ".")
        fields = "".join(f"  {key}={value}" for key, value in _fields(record).items())
        text = f"{_stamp(record.created)} {record.levelname.lower():<7} {part}: {record.getMessage()}{fields}"
        return f"{text}\n{self.formatException(record.exc_info)}" if record.exc_info else text


class JsonFormatter(logging.Formatter):
    """One JSON object a line."""

    def format(self, record: logging.LogRecord) -> str:
        document: dict[str, object] = {
            "time": _stamp(record.created),
            "level": record.levelname.lower(),
            "part": record.name.removeprefix(ROOT + "."),
            "message": record.getMessage(),
        }
        for key, value in _fields(record).items():
            document[key] = value if isinstance(value, int | float | bool | None) else str(value)
        if record.exc_info:
            document["exception"] = self.formatException(record.exc_info)
        return json.dumps(document, ensure_ascii=False)


def set_up(*, level: str, style: str) -> None:
    """Send the node's log to standard error. Called once, by the composition root."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter() if style == "json" else TextFormatter())
    root = logging.getLogger(ROOT)
    root.handlers[:] = [handler]
    root.propagate = False
    set_level(level)


def set_level(level: str) -> None:
    """Change the level of the running node."""
    logging.getLogger(ROOT).setLevel(level.upper())


def level() -> str:
    """The level in force."""
    return logging.getLevelName(logging.getLogger(ROOT).level).lower()


def error_fields(error: LicetError) -> dict[str, object]:
    """An error's code, fault and facts as fields of a log line."""
    facts = {f"fact_{name}": value for name, value in error.facts.items()}
    return {"code": error.code, "fault": error.fault.value, **facts}
