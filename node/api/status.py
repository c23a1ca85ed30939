"""The node's state for clients and operators, from the driver's fields, the peers and the store."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

from licet import __version__
from licet.certificate import ValidatorSet
from licet.genesis import Genesis
from licet.types import ChainId
from licet.v1 import ledger_pb2 as pb

from node.api.queries import Queries
from node.core.submit import Ledger
from node.net.peers import PeerTable
from node.operations import health

# Every view lacks votes for some milliseconds; only one that lasts is worth saying whom it waits for.
STALLED_S: Final = 2.0


class StatusView:
    """Builds `GetStatusResponse`."""

    def __init__(
        self,
        *,
        genesis: Genesis,
        chain_id: ChainId,
        validators: ValidatorSet,
        ledger: Ledger,
        queries: Queries,
        peers: PeerTable,
        usage_rows: Callable[[], int],
    ) -> None:
        self._genesis = genesis
        self._chain_id = chain_id
        self._validators = validators
        self._ledger = ledger
        self._queries = queries
        self._peers = peers
        self._usage_rows = usage_rows
        self._last = (0, 0)
        self._since = time.monotonic()

    def observe(self) -> None:
        """Called once a second: since when height and view stand where they are."""
        status = self._ledger.status()
        at = (status.committed_height, status.view)
        if at != self._last:
            self._last = at
            self._since = time.monotonic()

    @property
    def stalled(self) -> bool:
        """Whether neither a block nor a view has come for a while."""
        self.observe()
        return time.monotonic() - self._since > STALLED_S

    def sentence(self) -> str:
        """Why the network is or is not making progress."""
        status = self._ledger.status()
        return health.sentence(
            height=status.committed_height,
            peers=self._peers,
            validators=self._validators,
            ordering=status.activity,
            waits=self.stalled,
            own=status.participation,
            silent=status.silent,
        )

    def public(self) -> pb.GetStatusResponse:
        status = self._ledger.status()
        names = [validator.name for validator in self._genesis.validators]
        return pb.GetStatusResponse(
            node="" if status.validator is None else names[status.validator],
            version=__version__,
            chain_id=self._chain_id,
            network=self._genesis.name,
            dev=self._genesis.dev,
            height=status.committed_height,
            executed_height=status.executed_height,
            state_root=status.state_root,
            anchored_height=status.anchored_height,
            now_ms=status.now_ms,
            window_ms=self._genesis.parameters.window_ms,
            transactions=status.log_size,
            usage_rows=self._usage_rows(),
            sentence=self.sentence(),
            leader=names[status.leader],
            currency_scales=self._queries.currency_scales(),
            timestamp_ms=self._queries.now_ms,
        )
