"""A network on paper for tests of proofs: genesis, a naive state tree, headers, votes.

The tree here is written from the rules in `licet.merkle`'s docstring and shares no code with the
tree of a node, so that a proof that verifies was not made by what verifies it.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256

from licet.certificate import (
    Certificate,
    CertificateKind,
    ExecutedRoots,
    Header,
    VoteKind,
    sign_vote,
)
from licet.crypto import SigningKey
from licet.genesis import Currency, Genesis, Parameters, Validator
from licet.merkle import LogProof, StateProof, Terminal
from licet.types import Epoch, Hash32, Height, TimestampMs, ValidatorIndex, View

KEYS = tuple(SigningKey(bytes([n]) * 32) for n in range(1, 5))
DEPTH = 5
START_MS = 1_767_225_600_000  # 2026-01-01T00:00Z


def genesis(
    *, keys: Sequence[SigningKey] = KEYS, kind: CertificateKind = CertificateKind.SIMPLEX, nonce: int = 7
) -> Genesis:
    return Genesis(
        name="paper",
        dev=True,
        time_ms=START_MS,
        nonce=bytes([nonce]) * 16,
        certificate_kind=kind,
        validators=tuple(
            Validator(name=f"n{index}", public_key=key.public_key) for index, key in enumerate(keys, 1)
        ),
        parameters=Parameters(tree_depth=DEPTH),
        currencies=(Currency(code="EUR", scale=6),),
        parties=(),
        initial_state_root=Hash32(bytes(32)),
    )


def _h(*parts: bytes) -> bytes:
    return sha256(b"".join(parts)).digest()


def _leaf(item: tuple[bytes, bytes]) -> bytes:
    return _h(b"\0", item[0], item[1])


def _bit(key: bytes, index: int) -> int:
    return int.from_bytes(key, "big") >> (255 - index) & 1


class PaperTree:
    """The whole tree recomputed for every question: slow, short, and obviously the definition."""

    def __init__(self, content: dict[bytes, bytes], depth: int = DEPTH) -> None:
        self.depth = depth
        self.items = sorted((_h(key), _h(value)) for key, value in content.items())

    def _binary(self, items: list[tuple[bytes, bytes]], bit: int) -> bytes:
        if not items:
            return bytes(32)
        if len(items) == 1:
            return _leaf(items[0])
        left = [item for item in items if not _bit(item[0], bit)]
        right = [item for item in items if _bit(item[0], bit)]
        return _h(b"\1", self._binary(left, bit + 1), self._binary(right, bit + 1))

    def _node(self, prefix: int, level: int) -> bytes:
        inside = [
            item for item in self.items if int.from_bytes(item[0], "big") >> (256 - 4 * level) == prefix
        ]
        if level == self.depth:
            return self._binary(inside, 4 * level)
        if not inside:
            node = bytes(32)
            for _ in range(self.depth - level):
                node = _h(b"\2", node * 16)
            return node
        return _h(b"\2", *(self._node(prefix << 4 | child, level + 1) for child in range(16)))

    def root(self) -> Hash32:
        return Hash32(self._node(0, 0))

    def prove(self, key: bytes) -> StateProof:
        hashed = _h(key)
        number = int.from_bytes(hashed, "big")
        levels = []
        for level in range(1, self.depth + 1):
            prefix = number >> (256 - 4 * level)
            above, own = prefix >> 4 << 4, prefix & 15
            levels.append(
                tuple(Hash32(self._node(above | child, level)) for child in range(16) if child != own)
            )
        prefix = number >> (256 - 4 * self.depth)
        inside = [i for i in self.items if int.from_bytes(i[0], "big") >> (256 - 4 * self.depth) == prefix]
        branches, bit = [], 4 * self.depth
        while len(inside) > 1:
            other = [item for item in inside if _bit(item[0], bit) != _bit(hashed, bit)]
            inside = [item for item in inside if _bit(item[0], bit) == _bit(hashed, bit)]
            branches.append(Hash32(self._binary(other, bit + 1)))
            bit += 1
        terminal, found = Terminal.EMPTY, None
        if inside:
            terminal = Terminal.OWN_LEAF if inside[0][0] == hashed else Terminal.OTHER_LEAF
            found = (Hash32(inside[0][0]), Hash32(inside[0][1])) if terminal is Terminal.OTHER_LEAF else None
        return StateProof(levels=tuple(levels), branches=tuple(branches), terminal=terminal, other=found)


def paper_log(entries: Sequence[bytes], index: int) -> tuple[Hash32, LogProof]:
    """Root and audit path by RFC 9162's recursive definition."""

    def root(leaves: Sequence[bytes]) -> bytes:
        if len(leaves) == 1:
            return leaves[0]
        split = 1 << (len(leaves) - 1).bit_length() - 1
        return _h(b"\1", root(leaves[:split]), root(leaves[split:]))

    def path(leaves: Sequence[bytes], at: int) -> list[bytes]:
        if len(leaves) == 1:
            return []
        split = 1 << (len(leaves) - 1).bit_length() - 1
        if at < split:
            return [*path(leaves[:split], at), root(leaves[split:])]
        return [*path(leaves[split:], at - split), root(leaves[:split])]

    leaves = [_h(b"\0", entry) for entry in entries]
    proof = LogProof(index=index, size=len(entries), path=tuple(Hash32(node) for node in path(leaves, index)))
    return Hash32(root(leaves)), proof


def headers(
    network: Genesis, roots: ExecutedRoots, *, length: int = 2, first_height: int = 9
) -> tuple[Header, ...]:
    """A chain whose first header carries `roots`."""
    chain: list[Header] = []
    for step in range(length):
        view = View(first_height + 1 + step)
        chain.append(
            Header(
                chain_id=network.chain_id(),
                epoch=Epoch(0),
                view=view,
                height=Height(first_height + step),
                parent_id=chain[-1].id if chain else Hash32(bytes([9]) * 32),
                parent_view=View(view - 1),
                timestamp_ms=TimestampMs(network.time_ms + 1000 * (step + 1)),
                proposer=ValidatorIndex(view % len(network.validators)),
                payload_root=Hash32(bytes([step]) * 32),
                executed=roots,
            )
        )
    return tuple(chain)


def finality(
    network: Genesis, last: Header, *, signers: Sequence[int] = (0, 2, 3), keys: Sequence[SigningKey] = KEYS
) -> Certificate:
    """The certificate of `last` by the validators named."""
    return Certificate.build(
        scheme=network.certificate_kind,
        kind=VoteKind.FINALIZE,
        epoch=last.epoch,
        view=last.view,
        digest=last.id,
        signatures={
            ValidatorIndex(index): sign_vote(
                keys[index],
                kind=VoteKind.FINALIZE,
                chain_id=network.chain_id(),
                epoch=last.epoch,
                view=last.view,
                digest=last.id,
                voter=ValidatorIndex(index),
            ).signature
            for index in signers
        },
        n=len(network.validators),
    )


def roots_of(
    tree: PaperTree | None, log: tuple[Hash32, int] | None = None, *, height: int = 8
) -> ExecutedRoots:
    """What a header says about the state after `height`."""
    log_root, size = log or (Hash32(bytes(32)), 0)
    return ExecutedRoots(
        height=Height(height),
        state_root=tree.root() if tree else Hash32(bytes(32)),
        log_root=log_root,
        log_size=size,
    )
