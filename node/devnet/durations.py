"""What people type at a manual clock: `3mo`, `1y`, `10d`, `6h`, `2026-04-01`. UTC, civil months."""

from __future__ import annotations

import calendar
import re
from datetime import UTC, datetime, timedelta

_DURATION = re.compile(r"(\d{1,5})(y|mo|w|d|h|min|s)", re.ASCII)
_UNITS = {"w": "weeks", "d": "days", "h": "hours", "min": "minutes", "s": "seconds"}


def target_ms(text: str, now_ms: int) -> int:
    """The time that `text` means, seen from `now_ms`; `ValueError` with a sentence otherwise."""
    now = datetime.fromtimestamp(now_ms / 1000, UTC)
    found = _DURATION.fullmatch(text)
    if found is not None:
        count, unit = int(found[1]), found[2]
        try:
            if unit in ("y", "mo"):
                then = _months_later(now, count * (12 if unit == "y" else 1))
            else:
                then = now + timedelta(**{_UNITS[unit]: count})
        except (OverflowError, ValueError):
            raise ValueError(f"{text!r} from now is beyond the year 9999") from None
    else:
        try:
            then = datetime.fromisoformat(text)
        except ValueError:
            raise ValueError(f"{text!r} is no time: try 3mo, 1y, 2w, 10d, 6h, 30min, or 2026-04-01") from None
        then = then if then.tzinfo is not None else then.replace(tzinfo=UTC)
    at = round(then.timestamp() * 1000)
    if at <= now_ms:
        raise ValueError(f"{text!r} is not later than now ({now:%Y-%m-%d %H:%M:%S} UTC)")
    return at


def _months_later(now: datetime, months: int) -> datetime:
    """The same day and time, or the month's last day where it has no such day."""
    year, month = divmod(now.year * 12 + now.month - 1 + months, 12)
    day = min(now.day, calendar.monthrange(year, month + 1)[1])
    return now.replace(year=year, month=month + 1, day=day)


def text_of(at_ms: int) -> str:
    return f"{datetime.fromtimestamp(at_ms / 1000, UTC):%Y-%m-%d %H:%M:%S} UTC"
