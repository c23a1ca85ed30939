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
    "Submission": "licet.client_commands",
    "ClientOptions": "licet.connection",
    "SigningKey": "licet.crypto",
    "Fault": "licet.errors",
    "LicetError": "licet.errors",
    "Genesis": "licet.genesis",
    "parse_genesis": "licet.genesis",
    "generate_key": "licet.keys",
    "load_key": "licet.keys",
    "save_key": "licet.keys",
    "Accepted": "licet.outcomes",
    "Committed": "licet.outcomes",
    "Conflict": "licet.outcomes",
    "LedgerEvent": "licet.outcomes",
    "OutcomeUnknown": "licet.outcomes",
    "RefusedAtAdmission": "licet.outcomes",
    "RefusedInBlock": "licet.outcomes",
    "Unavailable": "licet.outcomes",
    "VerifiedClaim": "licet.proof",
    "read_proof": "licet.proof",
    "verify_proof": "licet.proof",
    "RetryPolicy": "licet.retry",
    "Certificate": "licet.statement",
    "Decision": "licet.statement",
    "Lineage": "licet.statement",
    "Quote": "licet.statement",
    "Statement": "licet.statement",
    "Status": "licet.statement",
    "SyncClient": "licet.sync_client",
    "Money": "licet.transactions",
    "BadRows": "licet.usage",
    "UsageRow": "licet.usage",
}

if TYPE_CHECKING:
    from licet.client import Client as Client
    from licet.client_commands import Submission as Submission
    from licet.connection import ClientOptions as ClientOptions
    from licet.crypto import SigningKey as SigningKey
    from licet.errors import Fault as Fault
    from licet.errors import LicetError as LicetError
    from licet.genesis import Genesis as Genesis
    from licet.genesis import parse_genesis as parse_genesis
    from licet.keys import generate_key as generate_key
    from licet.keys import load_key as load_key
    from licet.keys import save_key as save_key
    from licet.outcomes import Accepted as Accepted
    from licet.outcomes import Committed as Committed
    from licet.outcomes import Conflict as Conflict
    from licet.outcomes import LedgerEvent as LedgerEvent
    from licet.outcomes import OutcomeUnknown as OutcomeUnknown
    from licet.outcomes import RefusedAtAdmission as RefusedAtAdmission
    from licet.outcomes import RefusedInBlock as RefusedInBlock
    from licet.outcomes import Unavailable as Unavailable
    from licet.proof import VerifiedClaim as VerifiedClaim
    from licet.proof import read_proof as read_proof
    from licet.proof import verify_proof as verify_proof
    from licet.retry import RetryPolicy as RetryPolicy
    from licet.statement import Certificate as Certificate
    from licet.statement import Decision as Decision
    from licet.statement import Lineage as Lineage
    from licet.statement import Quote as Quote
    from licet.statement import Statement as Statement
    from licet.statement import Status as Status
    from licet.sync_client import SyncClient as SyncClient
    from licet.transactions import Money as Money
    from licet.usage import BadRows as BadRows
    from licet.usage import UsageRow as UsageRow


def __getattr__(name: str) -> object:
    module = _LAZY.get(name)
    if module is None:
        raise AttributeError(f"module 'licet' has no attribute {name!r}")
    return getattr(import_module(module), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_LAZY])
