"""Checks every signature in a peer's message: the only way to a `Verified[Message]`.

Run by the shell, after `Ordering.wants` and before `Received`; pure, so that a
verifier process can run it as well. It checks signatures and the things without
which a signature says nothing (chain, epoch, certificate kind, who may propose);
what a message means is the replica's business.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from licet.certificate import Certificate, Vote, VoteKind, check_certificate
from licet.crypto import Verified, mark_verified
from licet.errors import InvalidProof
from licet.types import ValidatorIndex

from consensus.config import ChainConfig
from consensus.errors import PeerFault
from consensus.messages import FinalizedResponse, Message, Proposal, Resync

Known = Callable[[Vote], bool]


def verify(
    message: Message, *, config: ChainConfig, peer: ValidatorIndex, known: Known | None = None
) -> Verified[Message]:
    """Say that every signature in `message` verifies, or raise `PeerFault` naming the peer.

    `known` is `Ordering.knows`: signatures verified before are not verified again.
    """
    match message:
        case Vote():
            _vote(message, config, peer, known)
        case Certificate():
            _certificates((message,), config, peer, known)
        case Proposal():
            _proposal(message, config, peer, known)
        case Resync():
            _certificates(message.certificates, config, peer, known)
            for vote in message.votes:
                _vote(vote, config, peer, known)
        case FinalizedResponse():
            for certificate in message.finalizations:
                if certificate.kind is not VoteKind.FINALIZE:
                    raise PeerFault(peer, "it proves final blocks by a certificate that finalises nothing")
            _certificates(message.finalizations, config, peer, known)
        case _:
            pass  # requests and blocks carry no signature; an id binds its block
    return mark_verified(message)


def _vote(vote: Vote, config: ChainConfig, peer: ValidatorIndex, known: Known | None) -> None:
    if vote.chain_id != config.chain_id or vote.epoch != config.epoch:
        raise PeerFault(peer, "a vote belongs to another chain or epoch")
    if known is not None and known(vote):
        return
    if not vote.valid(config.validators):
        raise PeerFault(peer, f"a vote of validator {vote.voter} for view {vote.view} does not verify")


def _certificates(
    certificates: Iterable[Certificate], config: ChainConfig, peer: ValidatorIndex, known: Known | None
) -> None:
    for certificate in certificates:
        if certificate.epoch != config.epoch:
            raise PeerFault(peer, f"a certificate is of epoch {certificate.epoch}, not {config.epoch}")
        try:
            check_certificate(
                certificate,
                config.validators,
                chain_id=config.chain_id,
                scheme=config.scheme,
                known=known,
            )
        except InvalidProof as error:
            raise PeerFault(peer, error.message) from error


def _proposal(proposal: Proposal, config: ChainConfig, peer: ValidatorIndex, known: Known | None) -> None:
    header, vote = proposal.block.header, proposal.vote
    if vote.kind is not VoteKind.NOTARIZE or (vote.view, vote.digest) != (header.view, header.id):
        raise PeerFault(peer, "a proposal carries a vote for something else")
    if vote.voter != config.validators.leader(vote.view):
        raise PeerFault(peer, f"view {vote.view} is not validator {vote.voter}'s to propose in")
    _vote(vote, config, peer, known)
    _certificates(proposal.justification, config, peer, known)
