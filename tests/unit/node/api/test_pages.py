"""Pages: every item once, in order, under any filter; tokens that belong to their list."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.api.errors import RequestInvalid
from node.api.pages import PAGE_SIZE_DEFAULT, PAGE_SIZE_MAX, SCAN_MAX, collect, key_of, page_size, token_of


@given(st.sets(st.binary(max_size=4)), st.integers(1, 5), st.integers(1, 4))
def test_pages_join_to_the_whole_list(names: set[bytes], size: int, keep_each: int) -> None:
    prefix = b"kind/"
    keys = sorted(prefix + name for name in names)
    found: list[bytes] = []
    token = ""
    while True:
        after = key_of(token, prefix)
        rest = [(key, key) for key in keys if after is None or key > after]
        page = collect(rest, lambda key: len(key) % keep_each == 0, size=size)
        assert len(page.items) <= size
        found += page.items
        token = page.next_token
        if not token:
            break
    assert found == [key for key in keys if len(key) % keep_each == 0]


def test_a_page_that_finds_nothing_ends_and_goes_on() -> None:
    entries = ((b"%08d" % n, n) for n in range(SCAN_MAX + 10))
    page = collect(entries, lambda n: n == SCAN_MAX + 5, size=10)
    assert page.items == []
    assert key_of(page.next_token, b"") == b"%08d" % (SCAN_MAX - 1)


def test_sizes() -> None:
    assert page_size(0) == PAGE_SIZE_DEFAULT
    assert page_size(PAGE_SIZE_MAX) == PAGE_SIZE_MAX
    with pytest.raises(RequestInvalid):
        page_size(PAGE_SIZE_MAX + 1)


@pytest.mark.parametrize("token", ["!!!", "a", token_of(b"other/x"), token_of(b"kind/x") + "=", "é"])
def test_a_token_that_is_not_this_lists(token: str) -> None:
    with pytest.raises(RequestInvalid) as refused:
        key_of(token, b"kind/")
    assert refused.value.code == "PAGE_TOKEN_INVALID"
