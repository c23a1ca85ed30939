"""The garbage collector's settings: what was put aside is looked at again once memory has grown."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator

import pytest

from node.runtime import memory
from node.runtime.memory import ASIDE_EVERY_US, Memory


class _Node:
    """Something that a cycle may hold."""

    def __init__(self) -> None:
        self.itself: _Node | None = None


def lost_after_a_step(kept: Memory, at_us: int) -> weakref.ref[_Node]:
    """A cycle that lived when its generation was put aside, and was dropped after."""
    node = _Node()
    node.itself = node
    kept.step(at_us)
    return weakref.ref(node)


@pytest.fixture
def kept() -> Iterator[Memory]:
    one = Memory()
    one.begin()
    yield one
    one.end()


def test_a_cycle_is_found_as_long_as_it_is_young(kept: Memory) -> None:
    node = _Node()
    node.itself = node
    found = weakref.ref(node)
    del node
    kept.step(ASIDE_EVERY_US)
    assert found() is None


def test_what_was_put_aside_is_looked_at_once_the_process_has_grown(
    kept: Memory, monkeypatch: pytest.MonkeyPatch
) -> None:
    lost = lost_after_a_step(kept, ASIDE_EVERY_US)
    kept.step(2 * ASIDE_EVERY_US)
    assert lost() is not None, "nothing has grown: no collection of all"
    grown = 2 * memory.resident_bytes() + memory.GROWN_BYTES
    monkeypatch.setattr(memory, "resident_bytes", lambda: grown)
    kept.step(3 * ASIDE_EVERY_US)
    assert lost() is None
    again = lost_after_a_step(kept, 4 * ASIDE_EVERY_US)
    kept.step(5 * ASIDE_EVERY_US)
    assert again() is not None, "it has not grown since"


def test_between_seconds_nothing_is_looked_at(kept: Memory) -> None:
    kept.step(ASIDE_EVERY_US)
    node = _Node()
    node.itself = node
    found = weakref.ref(node)
    del node
    kept.step(ASIDE_EVERY_US + 1)
    assert found() is not None


def test_the_process_goes_on_as_before() -> None:
    before, aside = gc.get_threshold(), gc.get_freeze_count()
    gc.set_threshold(700, 10, 10)
    try:
        one = Memory()
        one.begin()
        assert gc.get_threshold() != (700, 10, 10)
        assert gc.get_freeze_count() > aside
        one.end()
        assert gc.get_threshold() == (700, 10, 10)
        assert gc.get_freeze_count() == 0
    finally:
        gc.set_threshold(*before)
