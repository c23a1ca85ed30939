"""A port that is taken is one sentence of ours, and gRPC says nothing beside it."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from node.api.server import ApiServer
from node.config import Address
from node.net.ports import PortInUse, require_free


@pytest.fixture
def taken() -> Iterator[Address]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield Address(host="127.0.0.1", port=listener.getsockname()[1])


async def test_a_taken_port_is_one_sentence(taken: Address, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(PortInUse, match=f"{taken} for clients cannot be bound: another program listens"):
        ApiServer(taken, message_bytes_max=1 << 20)
    assert capfd.readouterr() == ("", "")


def test_a_port_that_was_left_is_free_and_zero_always_is(taken: Address) -> None:
    require_free(Address(host="127.0.0.1", port=0), "clients")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    require_free(Address(host="127.0.0.1", port=port), "clients")


def test_an_address_of_another_machine_is_told_as_that() -> None:
    with pytest.raises(PortInUse, match="cannot assign requested address") as refused:
        require_free(Address(host="192.0.2.1", port=7400), "peers")  # TEST-NET-1: no machine has it
    assert refused.value.remedy == "Name an address of this machine."
