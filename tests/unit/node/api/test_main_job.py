"""Every RPC of the ledger service on a real node, along the main job; proofs and decisions verify."""

from __future__ import annotations

import dataclasses

import pytest
from licet import transactions as t
from licet.builder import build_transaction
from licet.client_commands import Submission
from licet.errors import LicetError
from licet.outcomes import RefusedAtAdmission
from licet.proof import read_proof, verify
from licet.v1 import ledger_pb2 as pb

from node.operations.keyfiles import development_key
from tests.unit.node.api.conftest import TERMS, Running


async def fund(running: Running) -> None:
    bank = running.acting("bank")
    for party in ("studio", "advertiser"):
        await bank.deposit(party, "EUR 1000.00")


async def offer_a_photo(running: Running) -> None:
    studio = running.acting("studio")
    await studio.register_asset("photo1", kind="image", title="A photo")
    await studio.publish_template((TERMS / "stock.image_flat.terms").read_text())
    await studio.create_offer(
        "photo1-flat",
        template="stock.image_flat",
        roles={"licensor": "studio", "agency": "agency"},
        params={"fee": "EUR 99.99"},
        assets={"work": "photo1"},
        how=Submission(keys=(development_key("agency"),)),
    )


async def test_a_license_is_bought_proved_and_explained(running: Running) -> None:
    await fund(running)
    await offer_a_photo(running)
    buyer = running.acting("advertiser")
    use = {"action": "display", "territories": ["DE"], "media": ["web"]}
    before = await buyer.authorize(party="advertiser", asset="photo1", **use)
    assert not before.allowed
    assert [offer.offer for offer in before.offers] == ["photo1-flat"]
    quote = await buyer.quote("photo1-flat", buyer="advertiser")
    assert quote.total.minor == 99_990_000
    done = await buyer.accept_offer("photo1-flat", agreement="deal1")
    assert done.height > 0

    after = await buyer.authorize(party="advertiser", asset="photo1", **use)
    assert after.allowed
    assert after.agreements == ("deal1",)
    assert after.signed_by == "n1"

    certificate = await buyer.certificate("deal1")
    assert certificate.claim.record.agreement == "deal1"

    statement = await buyer.statement("agency")
    assert [(line.clause, line.change.minor) for line in statement.lines] == [("P1", 30_000_000)]
    assert statement.lines[0].clause_heading == "Fee when the licence is granted"
    balances = [(one.account, one.amount.minor) async for one in buyer.list_balances("studio")]
    assert balances == [("cash", 1_069_990_000)]

    kinds = [event.kind async for event in buyer.events(until_now=True)]
    assert "agreement.activated" in kinds
    agreements = [one.agreement async for one in buyer.list_agreements(party="advertiser", asset="photo1")]
    assert agreements == ["deal1"]
    assert (await buyer.get_agreement("deal1")).state == "active"
    assert (await buyer.get_template(name="stock.image_flat")).source.startswith("#")


async def test_lists_are_paged_without_loss_or_repeat(running: Running) -> None:
    studio = running.acting("studio")
    for number in range(7):
        await studio.register_asset(f"work{number}", kind="image", title=f"Work {number}")
    for registrant in ("", "studio"):
        request = pb.ListAssetsRequest(page_size=3, registrant=registrant)
        found: list[str] = []
        pages = 0
        while True:
            page = await running.stub.ListAssets(request)
            found += [asset.asset for asset in page.assets]
            pages += 1
            if not page.next_page_token:
                break
            request.page_token = page.next_page_token
        assert found == [f"work{number}" for number in range(7)]
        assert pages == 3
    assert [party.party async for party in studio.list_parties()] == sorted(
        ["bank", "studio", "agency", "advertiser", "contributor1", "contributor2"]
    )


async def test_a_page_token_of_another_list_is_refused(running: Running) -> None:
    page = await running.stub.ListParties(pb.ListPartiesRequest(page_size=1))
    with pytest.raises(Exception, match="another list"):
        await running.stub.ListAssets(pb.ListAssetsRequest(page_token=page.next_page_token))
    with pytest.raises(Exception, match="more than 1000"):
        await running.stub.ListAssets(pb.ListAssetsRequest(page_size=1001))


async def test_events_resume_after_any_cursor(running: Running) -> None:
    await fund(running)
    await offer_a_photo(running)
    everything = await _events(running, "")
    assert len(everything) >= 4
    for at, event in enumerate(everything):
        rest = await _events(running, event.cursor)
        assert [one.cursor for one in rest] == [one.cursor for one in everything[at + 1 :]]
    of_agency = await _events(running, "", party="agency")
    assert {one.event.kind for one in of_agency} == {"offer.created"}
    only = await _events(running, "", kinds=["asset"])
    assert [one.event.kind for one in only] == ["asset.registered"]


async def _events(
    running: Running, after: str, *, party: str = "", kinds: list[str] | None = None
) -> list[pb.EventRecord]:
    request = pb.StreamEventsRequest(after=after, until_now=True, party=party, kinds=kinds or [])
    return [event async for response in running.stub.StreamEvents(request) for event in response.events]


async def test_a_stream_of_events_waits_for_the_next_block(running: Running) -> None:
    call = running.stub.StreamEvents(pb.StreamEventsRequest(kinds=["asset"]))
    await running.acting("studio").register_asset("late", kind="image", title="Late")
    response = await call.read()
    assert [one.event.kind for one in response.events] == ["asset.registered"]
    call.cancel()


async def test_validate_only_changes_nothing(running: Running) -> None:
    studio = running.acting("studio")
    how = Submission(validate_only=True)
    await studio.register_asset("ghost", kind="image", title="Ghost", how=how)
    with pytest.raises(LicetError) as missing:
        await studio.get_asset("ghost")
    assert missing.value.code == "NOT_FOUND"
    assert missing.value.facts["id"] == "ghost"
    with pytest.raises(RefusedAtAdmission):
        await studio.transfer("agency", "EUR 5.00", how=how)


async def test_receipts_by_hash_and_by_id_with_proof(running: Running) -> None:
    bank = running.acting("bank")
    await bank.deposit("studio", "EUR 1.00")
    studio = running.acting("studio")
    done = await studio.transfer("agency", "EUR 0.50", how=Submission(id=b"i" * 16))
    again = await studio.receipt(sender="studio", id=b"i" * 16)
    assert again.transaction_hash == done.transaction_hash
    await studio.wait_anchored(done.height)
    proved = await running.stub.GetReceipt(
        pb.GetReceiptRequest(transaction_hash=done.transaction_hash, with_proof=True)
    )
    claim = verify(read_proof(proved.proof), running.client.genesis)
    assert claim.record.transaction_hash == done.transaction_hash


async def test_status_headers_and_genesis(running: Running) -> None:
    await fund(running)
    status = await running.client.status()
    assert status.node == "n1"
    assert status.dev
    assert status.sentence.startswith(f"height {status.height}; this node orders alone")
    assert status.transactions == 2
    headers = [one async for one in running.client.list_headers()]
    assert [one.height for one in headers] == list(range(1, len(headers) + 1))
    genesis = await running.stub.GetGenesis(pb.GetGenesisRequest())
    assert genesis.json == running.client.genesis.to_json()
    assert dataclasses.is_dataclass(running.client.genesis)


async def test_validate_only_answers_as_submitting_would(running: Running) -> None:
    await fund(running)
    status = await running.client.status()

    def signed(minor: int, id_: bytes) -> pb.SubmitRequest:
        command = t.Transfer(to="agency", amount=t.Money(currency="EUR", minor=minor))
        built = build_transaction(
            chain_id=running.client.genesis.chain_id(),
            sender="studio",
            commands=[command],
            valid_until_ms=status.now_ms + 60_000,
            keys=[development_key("studio")],
            id=id_,
        )
        return pb.SubmitRequest(transaction=built.raw)

    def asked(request: pb.SubmitRequest) -> pb.SubmitRequest:
        return pb.SubmitRequest(transaction=request.transaction, validate_only=True)

    first, other = signed(5, b"i" * 16), signed(6, b"i" * 16)
    assert (await running.stub.Submit(asked(first))).result.receipt.committed
    done = (await running.stub.Submit(first)).result
    assert done.receipt.committed
    assert (await running.stub.Submit(asked(first))).result == done  # the first receipt, and no other
    assert (await running.stub.Submit(asked(other))).result.refusal.code == "ID_REUSED"
    assert (await running.stub.Submit(other)).result.receipt.refusal.code == "ID_REUSED"
