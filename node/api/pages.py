"""Pages of lists: an opaque token that is the last key seen, and a bound on what one page looks at.

A token belongs to one list and its filters: one that names another prefix is refused. A page whose filter
lets little through ends after `SCAN_MAX` records with a token, so that no request can read the whole
ledger in one turn of the loop.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

from node.api.errors import RequestInvalid

PAGE_SIZE_DEFAULT: Final = 100
PAGE_SIZE_MAX: Final = 1000
SCAN_MAX: Final = 1_000  # records that one page of a list looks at
SLOW_SCAN_MAX: Final = 10_000  # the same where the loop is given back in between
BREATHE_EVERY: Final = 64

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Page(Generic[T]):
    """Items and the token of the next page, empty on the last."""

    items: list[T]
    next_token: str


def page_size(requested: int) -> int:
    """The size to serve; a larger one than the limit is refused, never cut silently."""
    if requested > PAGE_SIZE_MAX:
        raise RequestInvalid("page_size", f"is {requested}, more than {PAGE_SIZE_MAX}")
    return requested or PAGE_SIZE_DEFAULT


def token_of(key: bytes) -> str:
    return base64.urlsafe_b64encode(key).decode().rstrip("=")


def key_of(token: str, prefix: bytes) -> bytes | None:
    """The key that a token stands for; None for the first page."""
    if not token:
        return None
    try:
        key = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))
    except (binascii.Error, ValueError):
        key = b""
    if not key.startswith(prefix) or len(key) > 1024 or token_of(key) != token:
        raise RequestInvalid("page_token", "is of another list", code="PAGE_TOKEN_INVALID")
    return key


def collect(entries: Iterable[tuple[bytes, T]], keep: Callable[[T], bool], *, size: int) -> Page[T]:
    """Up to `size` kept items of `entries` (key, item), and where to go on."""
    items: list[T] = []
    last = b""
    for seen, (key, item) in enumerate(entries):
        if len(items) == size or seen == SCAN_MAX:
            return Page(items=items, next_token=token_of(last))
        last = key
        if keep(item):
            items.append(item)
    return Page(items=items, next_token="")


async def collect_slowly(
    entries: Iterable[tuple[bytes, T]], keep: Callable[[T], bool], *, size: int
) -> Page[T]:
    """The same over what never changes, giving the loop back between a few records (C-16)."""
    items: list[T] = []
    last = b""
    for seen, (key, item) in enumerate(entries):
        if len(items) == size or seen == SLOW_SCAN_MAX:
            return Page(items=items, next_token=token_of(last))
        last = key
        if keep(item):
            items.append(item)
        if seen % BREATHE_EVERY == BREATHE_EVERY - 1:
            await asyncio.sleep(0)
    return Page(items=items, next_token="")
