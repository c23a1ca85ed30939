"""A brief receipt is the whole one's outcome, whatever its numbers."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from licet.entities import NamedValue
from licet.receipts import Event, Receipt, Refusal

from node.api import mapping
from node.api.brief import brief_receipt, is_of

refusals = st.one_of(
    st.none(),
    st.just(Refusal(code="C", message="m", fault="sender", remedy="r", facts=(), clause="")),
)


@given(
    st.text("abcz0-", min_size=1, max_size=64),
    st.integers(0, 2**40),
    st.integers(0, 2**20),
    st.integers(0, 2**45),
    st.booleans(),
    refusals,
)
def test_it_says_what_the_whole_receipt_says(
    sender: str, height: int, index: int, at_ms: int, consumed: bool, refusal: Refusal | None
) -> None:
    receipt = Receipt(
        transaction_hash=b"h" * 32,
        sender=sender,
        id=b"i" * 16,
        height=height,
        index=index,
        timestamp_ms=at_ms,
        consumed=consumed,
        refusal=refusal,
        events=(Event(kind="k", attributes=(NamedValue(name="a", value="b"),)),),
        entries=(),
    )
    assert brief_receipt(receipt.encode()) == mapping.brief_receipt(receipt)
    assert is_of(receipt.encode(), sender, b"i" * 16)
    assert not is_of(receipt.encode(), sender + "x", b"i" * 16)
    assert not is_of(receipt.encode(), sender, b"j" * 16)
