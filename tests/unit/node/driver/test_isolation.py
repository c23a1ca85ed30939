"""Whole nodes, one with a damaged memory: it names key and transaction in its log and its status (C-13)."""

from __future__ import annotations

import asyncio
import logging
import time
from pathlib import Path
from typing import Any

from licet.entities import CASH, balance_key

from node.core.submit import Finalized
from node.operations import logs
from tests.unit.node.core import world
from tests.unit.node.driver.world import members

KEY = balance_key("ada", CASH, "bank", "EUR")


class Waiter(logging.Handler):
    """Keeps what an isolated node says, and tells when it is attested."""

    def __init__(self) -> None:
        super().__init__()
        self.said: list[dict[str, Any]] = []
        self.told = asyncio.Event()
        self.attested = asyncio.Event()

    def emit(self, record: logging.LogRecord) -> None:
        if record.msg.startswith("isolated: what is known"):
            self.said.append(dict(record.__dict__))
            self.told.set()
            if record.__dict__.get("attested"):
                self.attested.set()


async def test_a_flipped_bit_is_traced_to_the_key_and_the_transaction_that_wrote_it(tmp_path: Path) -> None:
    made = members(world.genesis(4), tmp_path)
    waiter = Waiter()
    log = logs.logger("driver")
    log.addHandler(waiter)
    try:
        for member in made:
            await member.start()
        until = time.time_ns() // 1_000_000 + 60_000
        raws = [world.transaction(number, valid_until_ms=until) for number in range(3)]
        (first,) = await made[0].driver.submit(raws[:1])
        assert isinstance(first, Finalized)
        victim = made[1].driver
        assert await victim.wait_for_height(first.height)
        live = victim.node.machine._state._live
        live[KEY] ^= 1 << 20
        (second,) = await made[0].driver.submit(raws[1:2])
        assert isinstance(second, Finalized)
        await made[0].driver.submit(raws[2:])
        await asyncio.wait_for(waiter.attested.wait(), 20)
        said = waiter.said[-1]
        assert said["key"] == f"key {KEY.decode()}"
        assert said["transaction"] == second.hash.hex()
        assert (said["height"], said["position"]) == (second.height, 0)
        assert said["ours"] != said["theirs"]
        status = victim.status()
        assert status.isolated
        assert status.isolation is not None
        for part in (second.hash.hex(), KEY.decode(), "attested by"):
            assert part in status.sentence
            assert part in status.activity, "what Status says to everybody"
        assert not made[0].driver.status().isolated
        waiter.said.clear()
        await made[1].stop()
        waiter.told.clear()
        await made[1].start()
        await asyncio.wait_for(waiter.told.wait(), 20)
        again = made[1].driver.status()
        assert again.isolated
        assert f"found before this node was restarted: {said['known']}" in again.sentence
    finally:
        log.removeHandler(waiter)
        for member in made:
            await member.stop()
