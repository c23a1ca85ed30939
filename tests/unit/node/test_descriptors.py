"""Silent connections never take the descriptors that the ledger's files need."""

from __future__ import annotations

import resource

import pytest

from node.operations import descriptors


@pytest.mark.parametrize("limit", [64, 256, 1024, 20_000, 1_048_576])
def test_the_doors_leave_files_their_part(limit: int) -> None:
    bounds = descriptors.doors(limit)
    taken = bounds.clients + bounds.peers + bounds.metrics
    assert min(bounds.clients, bounds.peers, bounds.metrics) >= 1
    assert limit - taken >= min(descriptors.RESERVED, 3 * limit // 4)


def test_the_limit_is_raised_as_far_as_it_goes() -> None:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(512, before[0]), before[1]))
        raised = descriptors.raise_limit()
        assert raised == resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        assert raised == min(descriptors.WANTED, before[1])
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
