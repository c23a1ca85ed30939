"""Licet: the client library and the vocabulary of the ledger.

Names are loaded when first used (PEP 562), so that importing the vocabulary
never imports gRPC, protobuf or asyncio.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

__version__ = "0.1.0"

_LAZY: dict[str, str] = {
    "Client": "licet.client",
    "SyncClient": "licet.sync_client",
    "SigningKey": "licet.crypto",
    "LicetError": "licet.errors",
    "Fault": "licet.errors",
}

if TYPE_CHECKING:
    from licet.client import Client as Client
    from licet.crypto import SigningKey as SigningKey
    from licet.errors import Fault as Fault
    from licet.errors import LicetError as LicetError
    from licet.sync_client import SyncClient as SyncClient


def __getattr__(name: str) -> object:
    module = _LAZY.get(name)
    if module is None:
        raise AttributeError(f"module 'licet' has no attribute {name!r}")
    return getattr(import_module(module), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_LAZY])
