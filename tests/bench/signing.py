"""Transactions signed beforehand, as real clients do on machines of their own.

Each stage signs just before it runs, in as many processes as the machine has cores, so that the
validity window stays what genesis says. Every transaction is different (its id is random).
"""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from typing import Any

from licet.crypto import SigningKey
from licet.encoding import Tag
from licet.v1 import transaction_pb2 as pb

CORES = os.cpu_count() or 1
CONTEXT = multiprocessing.get_context("spawn")  # a fork would copy gRPC's threads


@dataclass(frozen=True, slots=True, kw_only=True)
class Actor:
    """A party that signs. `seed` is its key's."""

    party: str
    seed: bytes

    @property
    def key(self) -> SigningKey:
        return SigningKey(self.seed)


@dataclass(frozen=True, slots=True, kw_only=True)
class Envelope:
    """What every body of a stage shares."""

    chain_id: bytes
    valid_until_ms: int


def sign_one(envelope: Envelope, sender: Actor, commands: Sequence[pb.Command], *also: Actor) -> bytes:
    """One serialized SignedTransaction of `sender`, also signed by the other actors."""
    return _sign(envelope, sender.party, [sender.key, *(actor.key for actor in also)], commands)


def _sign(
    envelope: Envelope, party: str, keys: Sequence[SigningKey], commands: Sequence[pb.Command]
) -> bytes:
    body = pb.TransactionBody(
        chain_id=envelope.chain_id,
        id=os.urandom(16),
        sender=party,
        valid_until_ms=envelope.valid_until_ms,
        commands=commands,
    ).SerializeToString()
    signed = pb.SignedTransaction(body=body)
    for key in keys:
        signed.signatures.add(public_key=key.public_key, signature=key.sign(Tag.TRANSACTION, body))
    return signed.SerializeToString()


Recipe = Callable[..., tuple[int, pb.Command]]


def _sign_range(
    recipe: Recipe, context: Any, envelope: Envelope, actors: Sequence[Actor], begin: int, end: int
) -> list[bytes]:
    keys = [actor.key for actor in actors]
    out = []
    for number in range(begin, end):
        who, command = recipe(context, number)
        out.append(_sign(envelope, actors[who].party, [keys[who]], [command]))
    return out


def sign_many(
    recipe: Recipe, context: Any, envelope: Envelope, actors: Sequence[Actor], count: int, *, first: int = 0
) -> list[bytes]:
    """`count` transactions, number `first` on. `recipe(context, number)` gives sender's index and command.

    The recipe is a module's function, because it is run in other processes.
    """
    step = -(-count // (CORES * 4)) or 1
    ranges = [(first + at, first + min(at + step, count)) for at in range(0, count, step)]
    with ProcessPoolExecutor(CORES, mp_context=CONTEXT) as pool:
        parts = [
            pool.submit(_sign_range, recipe, context, envelope, actors, begin, end) for begin, end in ranges
        ]
        return [raw for part in parts for raw in part.result()]
