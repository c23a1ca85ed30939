"""Votes, certificates and views: rules C-1, C-3 to C-7 and C-13 as the replica follows them.

Everything taken in here is verified. Each `try_…` looks at the state, acts if
its rule allows it, and says whether anything changed; the replica calls them
until nothing does.
"""

from __future__ import annotations

from licet.certificate import Certificate, Header, Vote, VoteKind
from licet.types import ZERO_HASH, Hash32, ValidatorIndex, View

from consensus import rules
from consensus.anchors import Claim
from consensus.blocktree import Entry, Payload
from consensus.config import CATCH_UP_BATCH_MAX, VOTE_WINDOW
from consensus.core import Core, ViewState
from consensus.effects import CheckPayload, Isolate
from consensus.messages import Proposal
from consensus.trace import TraceKind
from consensus.types import Block, CommittedBlock

# --- taking in ------------------------------------------------------------------------


def take_vote(core: Core, vote: Vote) -> None:
    """Count a verified vote; complete a certificate; keep contradictions (C-7, C-16)."""
    core.pacemaker.heard(vote.view, vote.voter)
    core.seen_us[vote.voter] = core.mono_us
    if not core.finalized_view < vote.view <= core.view + VOTE_WINDOW:
        return
    state = core.at(vote.view)
    before = state.tally.add(vote)
    if before is not None:
        core.note_evidence(before, vote)
        return
    if vote.kind is not VoteKind.NOTARIZE:
        other = VoteKind.FINALIZE if vote.kind is VoteKind.NULLIFY else VoteKind.NULLIFY
        opposite = state.tally.get(other, vote.voter)
        if opposite is not None:
            core.note_evidence(opposite, vote)
    if state.certificate(vote.kind) is None:
        certificate = state.tally.certificate(
            vote, core.validators, scheme=core.config.scheme, epoch=core.config.epoch
        )
        if certificate is not None:
            take_certificate(core, certificate)


def take_certificate(core: Core, certificate: Certificate) -> None:
    """Hold a verified certificate, durably from this turn on."""
    for voter in certificate.voters():
        core.pacemaker.heard(certificate.view, voter)
        core.seen_us[voter] = core.mono_us
    if certificate.view <= core.finalized_view:
        _finalization_of_head(core, certificate)
        return
    state = core.at(certificate.view)
    if state.certificate(certificate.kind) is not None:
        return
    if core.guard is not None:
        core.guard.note_certificate(certificate)
    core.trace(TraceKind.CERTIFICATE, certificate.view, certificate.kind.name.lower())
    match certificate.kind:
        case VoteKind.NOTARIZE:
            state.notarization = certificate
            _measure(core, state)
        case VoteKind.NULLIFY:
            state.nullification = certificate
            if certificate.view >= core.view:
                enter(core, certificate)
        case VoteKind.FINALIZE:
            _finalized(core, certificate)


def _measure(core: Core, state: ViewState) -> None:
    """C-8: from proposal to notarization. A view we gave up measures an outage; × 1.5 stands for it."""
    proposal, notarization = state.proposal, state.notarization
    if proposal is None or notarization is None or notarization.digest != proposal.id:
        return
    if state.received_us and core.own_vote(state.view, VoteKind.NULLIFY) is None:
        leading = proposal.header.proposer == core.config.index
        core.pacemaker.measured(core.mono_us - state.received_us, leading=leading)


def _finalization_of_head(core: Core, certificate: Certificate) -> None:
    """A head that was committed through a descendant may still get its own finalization."""
    lacks = core.finalization is None or core.finalization.view < core.finalized_view
    if lacks and certificate.kind is VoteKind.FINALIZE and certificate.digest == core.tree.head.id:
        core.finalization = certificate
        if core.guard is not None:
            core.guard.note_certificate(certificate)


def _finalized(core: Core, certificate: Certificate) -> None:
    """The highest finalization rises: what is at or below it needs no further proof."""
    core.finalization = certificate
    keep_finalization(core, certificate)
    core.pacemaker.finalized()
    if certificate.view >= core.view:
        enter(core, certificate)
    core.finalized_view = certificate.view
    for view in [view for view in core.views if view <= certificate.view]:
        del core.views[view]


def keep_finalization(core: Core, certificate: Certificate) -> None:
    """Keep a finalization until its block is committed; the oldest go first (C-16)."""
    core.finalizations[certificate.digest] = certificate
    if len(core.finalizations) > CATCH_UP_BATCH_MAX:
        oldest = min(core.finalizations.values(), key=lambda one: one.view)
        del core.finalizations[oldest.digest]


def take_proposal(core: Core, proposal: Proposal, peer: ValidatorIndex) -> None:
    """Hold the first proposal of a view's leader (C-3), and all that it carries."""
    for certificate in proposal.justification:
        take_certificate(core, certificate)
    block = proposal.block
    take_vote(core, proposal.vote)
    if not max(core.view - 1, core.finalized_view) < block.view <= core.view + VOTE_WINDOW:
        return
    state = core.at(block.view)
    if state.proposal is not None:
        return
    state.proposal, state.source = block, peer
    state.received_us, state.received_ms = core.mono_us, core.now_ms
    state.invalid = rules.check_shape(block, core.config)
    if state.invalid:
        core.trace(TraceKind.REFUSED, block.view, state.invalid)
    elif not core.tree.full:
        hold_block(core, block, peer)


def hold_block(core: Core, block: Block, source: ValidatorIndex | None) -> Entry:
    """Put a block into the tree and have its payload looked at (C-14)."""
    entry = core.tree.add(block, core.mono_us)
    if entry.payload is Payload.UNKNOWN:
        entry.payload = Payload.ASKED
        core.out.requests.append(CheckPayload(block=block, source=source))
    return entry


# --- views ----------------------------------------------------------------------------


def enter(core: Core, certificate: Certificate) -> None:
    """C-1: any valid certificate for w ≥ v enters w + 1; it is broadcast once. Never back."""
    view = View(certificate.view + 1)
    assert view > core.view, "C-1: never go back"
    core.pacemaker.ended(core.view, jumped=certificate.view > core.view)
    core.view = view
    core.entered_us = core.mono_us
    if core.guard is not None:
        core.guard.note_view(view)
    core.send(certificate)
    core.trace(TraceKind.ENTERED, view, certificate.kind.name.lower())


# --- own votes ------------------------------------------------------------------------


def _cast(core: Core, kind: VoteKind, view: View, digest: Hash32) -> Vote:
    """Sign by the guard, count it, and have it sent once it is durable."""
    assert core.guard is not None
    vote = core.guard.sign(view, kind, digest)
    core.send(vote)
    take_vote(core, vote)
    return vote


def _may(core: Core, kind: VoteKind, view: View, digest: Hash32 = ZERO_HASH) -> bool:
    return core.voting and core.guard is not None and not core.guard.may(view, kind, digest)


def persist_block(core: Core, entry: Entry) -> None:
    """C-14: the block is durable before a vote for it leaves."""
    if not entry.persisted and entry.block is not None:
        entry.persisted = True
        core.out.payload.append(entry.block)


def nullify(core: Core, why: str) -> bool:
    """C-4: nullify the current view, unless it was voted final or nullified before."""
    view = core.view
    if core.own_vote(view, VoteKind.NULLIFY) is not None or not _may(core, VoteKind.NULLIFY, view):
        return False
    core.trace(TraceKind.NULLIFIED, view, why)
    _cast(core, VoteKind.NULLIFY, view, ZERO_HASH)
    return True


def try_amplify(core: Core) -> bool:
    """C-4: the leader's own nullify, or f + 1 of others (direct finality is out of reach): at once."""
    state = core.views.get(core.view)
    if state is None:
        return False
    others = [voter for voter in state.tally.voters(VoteKind.NULLIFY) if voter != core.config.index]
    if core.leader in others:
        return nullify(core, "its leader did")
    return len(others) > core.validators.f and nullify(core, "f + 1 others did")


def try_notarize(core: Core) -> bool:
    """C-3: vote for the first valid proposal of the current view's leader."""
    state = core.views.get(core.view)
    if state is None or state.proposal is None or state.notarization is not None:
        return False
    if state.invalid:
        return nullify(core, f"invalid proposal: {state.invalid}")
    block = state.proposal
    if core.own_vote(core.view, VoteKind.NOTARIZE) is not None:
        return False
    if not _may(core, VoteKind.NOTARIZE, core.view, block.id):
        return False
    verdict, why = judge(core, state, block)
    if verdict is Claim.PENDING:
        return False
    if verdict is Claim.MISMATCH:
        state.invalid = why
        core.trace(TraceKind.REFUSED, core.view, why)
        return nullify(core, f"invalid proposal: {why}")
    persist_block(core, core.tree.add(block, core.mono_us))
    core.trace(TraceKind.NOTARIZED, core.view, block.id.hex()[:16])
    _cast(core, VoteKind.NOTARIZE, core.view, block.id)
    return True


def judge(core: Core, state: ViewState, block: Block) -> tuple[Claim, str]:
    """C-3 on one proposal: EQUAL to vote, MISMATCH (and why) to refuse, PENDING while something lacks."""
    header = block.header
    entry = core.tree.get(block.id)
    parent = core.tree.get(header.parent_id)
    if entry is None or parent is None or not core.justifies_parent(header.parent_view, header.parent_id):
        return Claim.PENDING, ""
    if core.unjustified_skip(View(header.parent_view + 1), View(header.view - 1)) is not None:
        return Claim.PENDING, ""
    path = core.tree.path(parent.id)
    if not path.whole:
        return Claim.PENDING, ""
    why = rules.check_time(
        header.timestamp_ms, parent.timestamp_ms, state.received_ms, manual_clock=core.config.manual_clock
    ) or rules.check_context(block, parent, path.entries, core.tree, core.config)
    if why:
        return Claim.MISMATCH, why
    claim = core.anchors.compare(header.executed)
    if claim is Claim.MISMATCH:
        return claim, f"it anchors other roots than ours at height {header.executed.height}"
    if entry.payload is Payload.INVALID:
        return Claim.MISMATCH, "a batch is not valid by its bytes"
    if claim is Claim.PENDING or entry.payload is not Payload.VALID:
        return Claim.PENDING, ""  # C-13, C-14: never "no" for "not yet"
    return Claim.EQUAL, ""


def try_certify(core: Core) -> bool:
    """C-5: a notarized block that is held and valid lets us enter v + 1 and, unless nullified, vote final."""
    changed = False
    for view in sorted(core.views):
        state = core.views.get(view)
        if state is None or state.notarization is None or state.certified:
            continue
        entry = core.tree.get(state.notarization.digest)
        if entry is None or entry.block is None or core.isolated:
            continue
        if core.anchors.compare(entry.executed) is Claim.MISMATCH:
            isolate(core, entry.block.header)
            return True
        if entry.payload is Payload.INVALID and view == core.view:
            changed |= nullify(core, "certification failed: a batch is not valid by its bytes")
        if entry.payload is not Payload.VALID:
            continue
        state.certified = changed = True
        persist_block(core, entry)
        notarization = state.notarization
        if view >= core.view:
            enter(core, notarization)  # one record with the vote below
        if _may(core, VoteKind.FINALIZE, view, entry.id):
            core.trace(TraceKind.FINALIZED, view, entry.id.hex()[:16])
            _cast(core, VoteKind.FINALIZE, view, entry.id)
    return changed


def isolate(core: Core, header: Header) -> None:
    """C-13: a quorum signed other roots than we computed. Vote no more, and say so."""
    ours = core.anchors.at(header.executed.height)
    assert ours is not None
    if not core.isolated:
        core.isolated = True
        core.out.requests.append(Isolate(header=header, ours=ours, theirs=header.executed))
        core.trace(TraceKind.ISOLATED, header.view, f"height {header.executed.height}")


# --- commit ---------------------------------------------------------------------------


def try_commit(core: Core) -> bool:
    """C-6: a finalization makes its block and all ancestors final, in order."""
    changed = False
    for block_id, certificate in sorted(core.finalizations.items(), key=lambda item: item[1].view):
        if core.isolated:
            break
        if certificate.view <= core.tree.head.view:
            del core.finalizations[block_id]
            continue
        path = core.tree.path(block_id)
        assert not path.off_chain, "C-6: a finalization beside the committed chain is a fork"
        if not path.whole:
            continue
        for entry in path.entries:
            if not _commit_entry(core, entry):
                return True
        del core.finalizations[block_id]
        changed = True
    return changed


def _commit_entry(core: Core, entry: Entry) -> bool:
    """Commit the next block; False when it turns out that this replica must isolate itself."""
    block = entry.block
    assert block is not None
    if core.anchors.compare(entry.executed) is Claim.MISMATCH:
        isolate(core, block.header)
        return False
    core.tree.commit((entry,))
    core.anchors.committed(block.header)
    if block.digests:
        core.with_digests_height = entry.height
    core.finalized_view = max(core.finalized_view, entry.view)
    final = core.finalizations.get(entry.id)
    core.out.commits.append(CommittedBlock(block=block, finalization=final))
    core.trace(TraceKind.COMMITTED, entry.view, f"height={entry.height} {entry.id.hex()[:16]}")
    return True
