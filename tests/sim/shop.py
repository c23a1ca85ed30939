"""What is sold in a simulated network: one picture, under the shipped terms `stock.image_flat`.

The fee is chosen so that its split is exact; the checkers' own ledger knows no
splits but the two amounts below.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Final

from licet.transactions import (
    AcceptOffer,
    AssetBinding,
    Command,
    CreateOffer,
    ParamBinding,
    PublishTemplate,
    RegisterAsset,
    RoleBinding,
)
from licet.types import Hash32

from licensing_vm.language.checker import check
from licensing_vm.program.encoding import program_hash

TERMS: Final = Path(__file__).parents[2] / "examples" / "terms" / "stock.image_flat.terms"
LICENSOR: Final = "ada"
AGENCY: Final = "ben"
BUYER: Final = "cleo"
OFFER: Final = "picture-offer"
FEE_TEXT: Final = "EUR 10.00"
LICENSOR_MINOR: Final = 7_000_000  # 70 % of the fee at six decimals, exact in cents
AGENCY_MINOR: Final = 3_000_000


@cache
def terms() -> tuple[str, Hash32]:
    """The source, and the hash of its program."""
    source = TERMS.read_text()
    program = check(source).program
    assert program is not None, "the shipped terms are accepted"
    return source, Hash32(program_hash(program))


def opening() -> list[Command]:
    """The licensor registers the picture, publishes the terms and offers; the agency signs as well."""
    source, program = terms()
    return [
        RegisterAsset(asset="picture", kind="image", title="A picture"),
        PublishTemplate(source=source),
        CreateOffer(
            offer=OFFER,
            program_hash=program,
            roles=(
                RoleBinding(role="licensor", party=LICENSOR),
                RoleBinding(role="agency", party=AGENCY),
            ),
            params=(ParamBinding(name="fee", value=FEE_TEXT),),
            assets=(AssetBinding(slot="work", asset="picture"),),
        ),
    ]


def sale(number: int) -> list[Command]:
    """The buyer takes a license."""
    return [AcceptOffer(agreement=f"sale-{number}", offer=OFFER)]
