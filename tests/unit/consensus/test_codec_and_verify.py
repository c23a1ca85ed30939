"""Messages as bytes, and the one way to a `Verified[Message]`."""

from __future__ import annotations

from dataclasses import replace
from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st
from licet.certificate import Vote, VoteKind
from licet.errors import Fault, InvalidEncoding
from licet.types import ChainId, Epoch, Height, Signature, ValidatorIndex, View

from consensus import codec
from consensus.errors import PeerFault
from consensus.messages import (
    BlockRequest,
    BlockResponse,
    CertificateRequest,
    FinalizedRequest,
    FinalizedResponse,
    Message,
    Proposal,
    Resync,
)
from consensus.types import Block
from consensus.verify import verify
from tests.unit.consensus.harness import digest
from tests.unit.consensus.solo import Solo

SOLO = Solo()
BLOCK = SOLO.block(1, digests=(digest(1), digest(2)))
CHILD = SOLO.block(2, BLOCK)
MESSAGES: list[Message] = [
    SOLO.vote(1, VoteKind.NULLIFY, 9),
    SOLO.nullification(4),
    SOLO.proposal(CHILD, SOLO.notarization(BLOCK), SOLO.nullification(7)),
    Resync(
        view=View(7),
        finalized_view=View(3),
        finalized_height=Height(2),
        certificates=(SOLO.finalization(BLOCK),),
        votes=(SOLO.vote(2, VoteKind.NULLIFY, 9),),
        answer=True,
    ),
    CertificateRequest(first_view=View(3), last_view=View(5)),
    BlockRequest(block_ids=(BLOCK.id, CHILD.id)),
    BlockResponse(blocks=(BLOCK, CHILD)),
    FinalizedRequest(from_height=Height(4), count=64),
    FinalizedResponse(
        from_height=Height(1), blocks=(BLOCK, CHILD), finalizations=(SOLO.finalization(CHILD),)
    ),
]


@pytest.mark.parametrize("message", MESSAGES, ids=lambda one: type(one).__name__)
def test_every_message_decodes_to_itself_and_other_lengths_are_the_peers_fault(
    message: Message,
) -> None:
    data = codec.encode(message)
    assert codec.decode(data) == message
    for bad in [data[:cut] for cut in range(len(data))] + [data + b"\0"]:
        with pytest.raises(InvalidEncoding) as caught:
            codec.decode(bad)
        assert caught.value.fault is Fault.PEER


def test_message_bytes_are_pinned() -> None:
    assert sha256(b"".join(codec.encode(one) for one in MESSAGES)).hexdigest() == (
        "aa93dff2b0ed3c6c8597773a1b691907f6b649456556ac7f06cab690657c4b34"
    )


@given(st.binary(max_size=400), st.sampled_from(range(len(MESSAGES))), st.integers(0, 400))
def test_mutated_bytes_never_raise_anything_else_and_stay_canonical(junk: bytes, which: int, at: int) -> None:
    data = codec.encode(MESSAGES[which])
    mutated = data[: at % len(data)] + junk + data[at % len(data) + len(junk) :]
    try:
        message = codec.decode(mutated)
    except InvalidEncoding:
        return
    assert codec.encode(message) == mutated


def test_claims_of_length_are_limited_before_they_are_believed() -> None:
    many = BlockRequest(block_ids=(BLOCK.id,) * 17)
    with pytest.raises(InvalidEncoding, match="17 ids"):
        codec.decode(codec.encode(many))
    wide = CertificateRequest(first_view=View(1), last_view=View(400))
    with pytest.raises(InvalidEncoding, match="no range"):
        codec.decode(codec.encode(wide))
    with pytest.raises(InvalidEncoding, match="0 blocks"):
        codec.decode(codec.encode(FinalizedRequest(from_height=Height(1), count=0)))
    false = Block(header=BLOCK.header, digests=())
    with pytest.raises(InvalidEncoding, match="payload root"):
        codec.decode(codec.encode(BlockResponse(blocks=(false,))))


@pytest.mark.parametrize("message", MESSAGES, ids=lambda one: type(one).__name__)
def test_what_is_signed_rightly_is_verified(message: Message) -> None:
    assert verify(message, config=SOLO.config, peer=ValidatorIndex(2)).value == message


def _bad(vote: Vote) -> Vote:
    return replace(vote, signature=Signature(bytes(64)))


def test_every_signature_in_a_message_counts_and_the_peer_is_named() -> None:
    vote = SOLO.vote(1, VoteKind.NULLIFY, 9)
    final = SOLO.finalization(CHILD)
    forged = replace(final, signatures=(*final.signatures[:2], Signature(bytes(64))))
    proposal, resync = MESSAGES[2], MESSAGES[3]
    assert isinstance(proposal, Proposal)
    assert isinstance(resync, Resync)
    response = FinalizedResponse(from_height=Height(1), blocks=(BLOCK, CHILD), finalizations=(forged,))
    bad: list[Message] = [
        _bad(vote),
        replace(vote, voter=ValidatorIndex(2)),
        replace(vote, voter=ValidatorIndex(9)),
        replace(vote, view=View(8)),
        replace(vote, chain_id=ChainId(bytes(32))),
        replace(vote, epoch=Epoch(1)),
        replace(vote, digest=BLOCK.id),
        forged,
        replace(SOLO.nullification(4), epoch=Epoch(1)),
        replace(proposal, vote=_bad(proposal.vote)),
        replace(proposal, vote=SOLO.vote(3, VoteKind.NOTARIZE, 2, CHILD.id)),
        replace(proposal, vote=SOLO.vote(2, VoteKind.FINALIZE, 2, CHILD.id)),
        replace(proposal, block=BLOCK),
        replace(proposal, justification=(forged,)),
        replace(resync, votes=(_bad(vote),)),
        replace(resync, certificates=(forged,)),
        response,
        replace(response, finalizations=(SOLO.notarization(CHILD),)),
    ]
    for message in bad:
        with pytest.raises(PeerFault) as caught:
            verify(message, config=SOLO.config, peer=ValidatorIndex(2))
        assert caught.value.facts["peer"] == "2"
        assert caught.value.fault is Fault.PEER


def test_signatures_verified_before_are_not_verified_again() -> None:
    solo = Solo()
    asked: list[int] = []
    block = solo.block(1)
    for voter in (1, 2):
        solo.receive(solo.vote(voter, VoteKind.NOTARIZE, 1, block.id), peer=voter)

    def known(vote: Vote) -> bool:
        if solo.replica.knows(vote):
            asked.append(vote.voter)
            return True
        return False

    verify(solo.notarization(block), config=solo.config, peer=ValidatorIndex(3), known=known)
    assert asked == [1, 2]
    forged = replace(solo.vote(1, VoteKind.NOTARIZE, 1, block.id), signature=Signature(bytes(64)))
    assert not solo.replica.knows(forged), "the very bytes, not the mere claim"
