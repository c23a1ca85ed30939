"""The adversaries by name."""

from __future__ import annotations

from typing import Final

from tests.sim.byzantine.adversary import Adversary
from tests.sim.byzantine.amnesiac import Amnesiac
from tests.sim.byzantine.delayer import Delayer
from tests.sim.byzantine.equivocator import Equivocator
from tests.sim.byzantine.flooder import Flooder
from tests.sim.byzantine.forger import Forger
from tests.sim.byzantine.impersonator import Impersonator
from tests.sim.byzantine.nullifier import Nullifier
from tests.sim.byzantine.payload_withholder import PayloadWithholder
from tests.sim.byzantine.silent import Silent
from tests.sim.byzantine.stale_proposer import StaleProposer
from tests.sim.byzantine.twins import Twins

ADVERSARIES: Final[dict[str, type[Adversary]]] = {
    one.name: one
    for one in (
        Equivocator,
        Silent,
        Delayer,
        StaleProposer,
        PayloadWithholder,
        Nullifier,
        Amnesiac,
        Forger,
        Impersonator,
        Flooder,
        Twins,
    )
}
