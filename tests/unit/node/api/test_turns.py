"""Long readings take turns: one at a time, by connection, with rests between."""

from __future__ import annotations

import asyncio

import pytest

from node.api import turns as module
from node.api.turns import ReadingsExceeded, Turns


async def test_one_reading_at_a_time_and_a_flood_delays_itself() -> None:
    turns = Turns()
    done: list[str] = []
    running = 0

    async def read(connection: str, name: str) -> None:
        nonlocal running
        async with turns.take(connection):
            running += 1
            assert running == 1
            await asyncio.sleep(0)
            running -= 1
            done.append(name)

    flood = [asyncio.create_task(read("flood", f"flood{number}")) for number in range(40)]
    await asyncio.sleep(0)
    other = asyncio.create_task(read("other", "other"))
    await asyncio.wait_for(asyncio.gather(*flood, other), 10)
    assert done.index("other") <= 3
    assert [name for name in done if name != "other"] == [f"flood{number}" for number in range(40)]


async def test_too_many_of_one_connection_are_refused_and_others_are_not() -> None:
    turns = Turns()
    async with turns.take("flood"):
        waiting = [asyncio.create_task(_brief(turns, "flood")) for _ in range(module.WAITING_MAX)]
        await asyncio.sleep(0)
        with pytest.raises(ReadingsExceeded) as refused:
            await _brief(turns, "flood")
        assert refused.value.facts["retry_ms"]
        waiting.append(asyncio.create_task(_brief(turns, "flood", patient=True)))  # a stream waits
        other = asyncio.create_task(_brief(turns, "other"))
        await asyncio.sleep(0)
    await asyncio.wait_for(asyncio.gather(*waiting, other), 10)


async def test_a_cancelled_wait_leaves_the_turn_to_others() -> None:
    turns = Turns()
    async with turns.take("one"):
        before = asyncio.create_task(_brief(turns, "two"))
        after = asyncio.create_task(_brief(turns, "three"))
        await asyncio.sleep(0)
        before.cancel()
    await asyncio.wait_for(after, 10)
    async with turns.take("four"):
        chosen = asyncio.create_task(_brief(turns, "five"))
        last = asyncio.create_task(_brief(turns, "six"))
        await asyncio.sleep(0)
    chosen.cancel()  # its turn has come, and it never ran
    await asyncio.wait_for(last, 10)
    await asyncio.wait_for(_brief(turns, "seven"), 10)


async def test_after_a_long_reading_comes_a_rest_as_long(monkeypatch: pytest.MonkeyPatch) -> None:
    loop = asyncio.get_running_loop()
    rests: list[float] = []
    times = iter((10.0, 10.05))
    turns = Turns()
    with monkeypatch.context() as patch:
        patch.setattr(loop, "time", lambda: next(times))
        patch.setattr(loop, "call_later", lambda after, call: rests.append(after) or call())
        async with turns.take("one"):
            pass
    assert rests == [pytest.approx(0.05)]
    await asyncio.wait_for(_brief(turns, "two"), 10)


async def _brief(turns: Turns, connection: str, *, patient: bool = False) -> None:
    async with turns.take(connection, patient=patient):
        pass
