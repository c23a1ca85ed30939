"""Authorize, Quote and Simulate: what the VM says of things that have not happened.

A decision is signed by this node over canonical bytes, which hold the question, the answer and the state
that gave it: whoever asked can show later what was said. It reserves nothing.

    decision = format u8 | chain_id 32 | height u64 | timestamp_ms u64 | allowed u8
             | party | asset | action | territories | media | from_ms u64 | until_ms u64
             | reason | clauses | agreements
    signed   = Tag.DECISION ‖ decision, by the validator's key

Texts are u32 length and UTF-8, lists a u16 count and texts (`licet.encoding`), integers big-endian.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from typing import Any, Final

from licet import entities as e
from licet.crypto import SigningKey
from licet.encoding import Tag, Writer
from licet.receipts import JournalEntry, Receipt
from licet.transactions import (
    ID_BYTES,
    AcceptOffer,
    AssetBinding,
    Command,
    Transaction,
    TransactionBody,
    transaction_hash,
    valid_name,
)
from licet.types import HASH_BYTES, ChainId
from licet.v1 import ledger_pb2 as pb
from licet.v1 import transaction_pb2 as tx

from licensing_vm.domain.authorise import Answer, Question
from licensing_vm.transition import Machine
from node.api import mapping
from node.api.errors import RequestInvalid
from node.api.queries import Queries
from node.submit import Ledger

DECISION_FORMAT: Final = 1
CODES_MAX: Final = 256  # territories or media in one question
FACTS_MAX: Final = 64
OFFERS_QUOTED_MAX: Final = 10


class Decisions:
    """The deciding third of the ledger service."""

    def __init__(
        self, *, chain_id: ChainId, key: SigningKey, machine: Machine, queries: Queries, ledger: Ledger
    ) -> None:
        self._chain_id = chain_id
        self._key = key
        self._machine = machine
        self._queries = queries
        self._ledger = ledger
