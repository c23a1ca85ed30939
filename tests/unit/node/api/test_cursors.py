"""A cursor is of one network, moves on where nothing matches, and is refused where it leads nowhere."""

from __future__ import annotations

import grpc
import pytest
from licet.errors import LicetError
from licet.status_details import METADATA_KEY, decode_status
from licet.v1 import ledger_pb2 as pb

from node.api import ledger_service
from node.api.cursors import BEFORE_ALL, Cursors, Place
from tests.unit.node.api.conftest import Running
from tests.unit.node.api.test_main_job import fund, offer_a_photo

HERE = Cursors(bytes(range(32)))
THERE = Cursors(bytes(range(1, 33)))


def test_a_cursor_is_read_as_it_was_written() -> None:
    assert HERE.parse("") == BEFORE_ALL
    assert HERE.parse(HERE.event(7, 3, 2)) == Place(7, 3, 2)
    assert HERE.parse(HERE.block(7)) > HERE.parse(HERE.event(7, 4_000_000_000, 0))
    assert HERE.parse(HERE.block(7)) < HERE.parse(HERE.event(8, 0, 0))


@pytest.mark.parametrize(
    ("cursor", "why"),
    [
        (THERE.event(1, 2, 3), "is of network 0102030405060708"),
        (THERE.block(1), "is of network 0102030405060708"),
        ("1.2.3", "form of an earlier version"),
        ("1.x.3", "is no event"),
        (HERE.block(1) + ".2", "is no event"),
        (HERE.event(1, 2, 3) + ".4", "is no event"),
        (HERE.block(10**30), "is no event"),
        (HERE.block(1) + "\u0664", "is no event"),
        (".", "is no event"),
    ],
)
def test_what_is_no_cursor_of_this_network_is_refused(cursor: str, why: str) -> None:
    with pytest.raises(LicetError, match=why) as refused:
        HERE.parse(cursor)
    assert refused.value.code == "CURSOR_INVALID"


def cursors(running: Running) -> Cursors:
    return Cursors(running.client.genesis.chain_id())


async def last(running: Running, **request: object) -> pb.StreamEventsResponse:
    responses = [
        one async for one in running.stub.StreamEvents(pb.StreamEventsRequest(until_now=True, **request))
    ]
    return responses[-1]


async def test_a_cursor_moves_on_where_nothing_matches(running: Running) -> None:
    await fund(running)
    await offer_a_photo(running)
    height = running.app.driver.node.storage.height
    for narrowed in ({"party": "contributor1"}, {"party": "agency"}, {"kinds": ["nothing"]}, {}):
        quiet = await last(running, **narrowed)
        assert quiet.height >= height
        assert quiet.cursor == cursors(running).block(quiet.height)
        again = await last(running, after=quiet.cursor, **narrowed)
        assert (list(again.events), again.cursor) == ([], cursors(running).block(again.height))
    await running.acting("studio").register_asset("photo2", kind="image", title="Another")
    later = await last(running, after=quiet.cursor)
    assert [one.event.attributes["asset"] for one in later.events] == ["photo2"]


async def test_a_cursor_beyond_the_ledger_is_refused(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ledger_service, "CURSOR_WAIT_S", 0.05)
    await fund(running)
    height = running.app.driver.node.storage.height or 0
    for until_now in (True, False):
        request = pb.StreamEventsRequest(after=cursors(running).event(height + 5, 0, 0), until_now=until_now)
        with pytest.raises(grpc.RpcError) as refused:
            async for _ in running.stub.StreamEvents(request):
                pass
        assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT
        info = decode_status(bytes(dict(refused.value.trailing_metadata())[METADATA_KEY]))
        assert info is not None
        assert info.reason == "CURSOR_INVALID"
        assert height <= int(info.metadata["height"]) < height + 5
    assert not running.app.driver._replies._heights, "nobody waits for a height that never comes"


async def test_a_node_that_is_a_little_behind_waits(running: Running) -> None:
    await fund(running)
    height = (running.app.driver.node.storage.height or 0) + 3  # an empty block anchors the last one
    call = running.stub.StreamEvents(
        pb.StreamEventsRequest(after=cursors(running).block(height), until_now=True)
    )
    studio = running.acting("studio")
    for number in range(3):
        await studio.register_asset(f"photo{number}", kind="image", title="A photo")
    assert [one.height >= height async for one in call] == [True]
