"""What the benchmark sells: parties, works with two generations above them, the three shipped terms.

Setting up is done through the API like everything else and is not measured.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import grpc
from licet.v1 import ledger_pb2 as api
from licet.v1 import ledger_pb2_grpc as rpc
from licet.v1 import transaction_pb2 as pb

from tests.bench.signing import Actor, Envelope, sign_one

TERMS = Path(__file__).resolve().parents[2] / "examples" / "terms"
BUYERS = 32
OWNERS = 8
FUNDS_MINOR = 10**15  # EUR 1,000,000,000 at scale 6: nobody runs dry
PACE = 50


def actor(name: str) -> Actor:
    """A party of the benchmark with a key derived from its name."""
    return Actor(party=name, seed=hashlib.sha256(b"licet bench " + name.encode()).digest())


def month_start_ms(now_ms: int) -> int:
    """Start of the UTC month of `now_ms`, as `ads.per_use` counts its periods."""
    now = datetime.fromtimestamp(now_ms / 1000, tz=UTC)
    return int(datetime(now.year, now.month, 1, tzinfo=UTC).timestamp() * 1000)


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """Names that the recipes use. Buyers are actors 0 … BUYERS - 1 of `actors`."""

    actors: tuple[Actor, ...]
    tag: str  # makes ids of one stage differ from another's
    month_ms: int


def buyers() -> tuple[Actor, ...]:
    return tuple(actor(f"bench-buyer-{n}") for n in range(BUYERS))


def purchase(world: World, number: int) -> tuple[int, pb.Command]:
    """Buy a license of `stock.image_flat`."""
    who = number % BUYERS
    return who, pb.Command(
        accept_offer=pb.AcceptOffer(
            agreement=f"p{world.tag}-{number}", offer=f"bench-stock-{number % OWNERS}"
        )
    )


def payment(world: World, number: int) -> tuple[int, pb.Command]:
    """Pay another buyer."""
    who = number % BUYERS
    return who, pb.Command(
        transfer=pb.Transfer(
            to=world.actors[(number * 7 + 1) % BUYERS].party,
            amount=pb.Money(currency="EUR", minor=1_000_000 + number % 977),
        )
    )


def usage_row(world: World, number: int) -> tuple[int, pb.Command]:
    """Report one row of use."""
    return _report(world, number, 1)


def usage_thousand(world: World, number: int) -> tuple[int, pb.Command]:
    """Report a thousand rows of use."""
    return _report(world, number, 1000)


def _report(world: World, number: int, rows: int) -> tuple[int, pb.Command]:
    who = number % BUYERS
    return who, pb.Command(
        report_usage=pb.ReportUsage(
            report=f"u{world.tag}-{number}",
            fact="impressions",
            period_start_ms=world.month_ms,
            agreements=[f"bench-ads-{who}"],
            agreement_index=[0] * rows,
            offset_ms=[1000 + row for row in range(rows)],
            quantity=[1 + (number + row) % 5 for row in range(rows)],
        )
    )


def mix(world: World, number: int) -> tuple[int, pb.Command]:
    """One third each: license purchase, payment to a party, usage report of one row."""
    return (purchase, payment, usage_row)[number % 3](world, number)


def sale(world: World, number: int) -> tuple[int, pb.Command]:
    """A complete sale on a lineage of three levels, sellers spread over `OWNERS` parties."""
    return number % BUYERS, _sale(world, number, f"bench-style-{number % OWNERS}")


def sale_hot(world: World, number: int) -> tuple[int, pb.Command]:
    """The same, every sale paying one agency's account."""
    return number % BUYERS, _sale(world, number, "bench-style-0")


def _sale(world: World, number: int, offer: str) -> pb.Command:
    return pb.Command(accept_offer=pb.AcceptOffer(agreement=f"s{world.tag}-{number}", offer=offer))


class Setup:
    """Brings the benchmark's parties, assets, terms and offers onto the ledger."""

    def __init__(self, channel: grpc.aio.Channel, chain_id: bytes, issuer: Actor) -> None:
        self.stub = rpc.LedgerServiceStub(channel)
        self.chain_id = chain_id
        self.issuer = issuer

    async def envelope(self) -> Envelope:
        status = await self.stub.GetStatus(api.GetStatusRequest())
        return Envelope(
            chain_id=self.chain_id,
            valid_until_ms=max(status.now_ms, status.timestamp_ms) + status.window_ms * 9 // 10,
        )

    async def submit(self, *raws: bytes) -> None:
        """Submit and insist that every transaction commits."""
        for at in range(0, len(raws), PACE):
            response = await self.stub.SubmitBatch(
                api.SubmitBatchRequest(transactions=raws[at : at + PACE], wait=api.WAIT_FINAL)
            )
            for result in response.results:
                if not (result.HasField("receipt") and result.receipt.committed):
                    raise RuntimeError(f"the benchmark's setup was refused: {result}")

    async def run(self) -> dict[str, bytes]:
        """Everything but usage; returns program hashes by template name."""
        envelope = await self.envelope()
        studio, agency = actor("bench-studio"), actor("bench-agency")
        owners = [actor(f"bench-owner-{n}") for n in range(OWNERS)]
        roots = [actor("bench-root-a"), actor("bench-root-b")]
        people = [studio, agency, *owners, *roots, *buyers()]
        await self.submit(*(self._register(envelope, person) for person in people))
        await self.submit(*(self._fund(envelope, person) for person in buyers()))
        hashes = {}
        for file in sorted(TERMS.glob("*.terms")):
            source = file.read_text()
            await self.submit(
                sign_one(envelope, studio, [pb.Command(publish_template=pb.PublishTemplate(source=source))])
            )
        listing = await self.stub.ListTemplates(api.ListTemplatesRequest(page_size=100))
        hashes = {template.name: template.program_hash for template in listing.templates}
        for number, owner in enumerate(owners):
            await self._works(envelope, number, owner, agency, roots, hashes)
        await self._advertising(envelope, studio, hashes["ads.per_use"])
        return hashes

    def _register(self, envelope: Envelope, person: Actor) -> bytes:
        key = pb.Key(public_key=person.key.public_key, scopes=["all"])
        return sign_one(
            envelope,
            person,
            [pb.Command(register_party=pb.RegisterParty(name=person.party, kind="organisation", keys=[key]))],
        )

    def _fund(self, envelope: Envelope, person: Actor) -> bytes:
        money = pb.Money(currency="EUR", minor=FUNDS_MINOR)
        return sign_one(
            envelope, self.issuer, [pb.Command(deposit=pb.Deposit(to=person.party, amount=money))]
        )

    async def _works(
        self,
        envelope: Envelope,
        number: int,
        owner: Actor,
        agency: Actor,
        roots: list[Actor],
        hashes: dict[str, bytes],
    ) -> None:
        """A photograph with its offer, and a generated image with two generations above it."""
        ids = {kind: f"bench-{kind}-{number}" for kind in ("photo", "base", "model", "image")}
        for who, asset, kind in (
            (owner, ids["photo"], "image"),
            (roots[0], ids["base"], "ml_model"),
            (roots[1], ids["model"], "ml_model"),
            (owner, ids["image"], "generated_image"),
        ):
            command = pb.Command(register_asset=pb.RegisterAsset(asset=asset, kind=kind, title=asset))
            await self.submit(sign_one(envelope, who, [command]))
        for child, parent, signers, rate in (
            (ids["model"], ids["base"], (roots[1], roots[0]), 100_000_000),
            (ids["image"], ids["model"], (owner, roots[1]), 200_000_000),
        ):
            link = pb.LinkLineage(child=child, parent=parent, relation="derived", rate_e9=rate)
            await self.submit(sign_one(envelope, signers[0], [pb.Command(link_lineage=link)], signers[1]))
        stock = pb.CreateOffer(
            offer=f"bench-stock-{number}",
            program_hash=hashes["stock.image_flat"],
            roles=[
                pb.RoleBinding(role="licensor", party=owner.party),
                pb.RoleBinding(role="agency", party=agency.party),
            ],
            params=[pb.ParamBinding(name="fee", value="EUR 9.99")],
            assets=[pb.AssetBinding(slot="work", asset=ids["photo"])],
        )
        style = pb.CreateOffer(
            offer=f"bench-style-{number}",
            program_hash=hashes["ai.style_sale"],
            roles=[pb.RoleBinding(role="owner", party=owner.party)],
            params=[pb.ParamBinding(name="fee", value="EUR 1.0000")],
            assets=[pb.AssetBinding(slot="work", asset=ids["image"])],
        )
        await self.submit(
            sign_one(envelope, owner, [pb.Command(create_offer=stock)], agency),
            sign_one(envelope, owner, [pb.Command(create_offer=style)]),
        )

    async def _advertising(self, envelope: Envelope, studio: Actor, program_hash: bytes) -> None:
        """One advertising agreement per buyer."""
        work = pb.RegisterAsset(asset="bench-creative", kind="composite", title="Creative")
        await self.submit(sign_one(envelope, studio, [pb.Command(register_asset=work)]))
        offer = pb.CreateOffer(
            offer="bench-ads",
            program_hash=program_hash,
            roles=[
                pb.RoleBinding(role="studio", party=studio.party),
                pb.RoleBinding(role="artist", party="bench-root-a"),
            ],
            params=[pb.ParamBinding(name="artist_share", value="70%")],
            assets=[pb.AssetBinding(slot="creative", asset="bench-creative")],
        )
        await self.submit(sign_one(envelope, studio, [pb.Command(create_offer=offer)], actor("bench-root-a")))
        await self.submit(
            *(
                sign_one(
                    envelope,
                    buyer,
                    [
                        pb.Command(
                            accept_offer=pb.AcceptOffer(agreement=f"bench-ads-{number}", offer="bench-ads")
                        )
                    ],
                )
                for number, buyer in enumerate(buyers())
            )
        )
