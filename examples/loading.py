"""Loads the catalogue, the terms and the offers onto a network, through the SDK as any client would.

Every work is one transaction of its registrant: the asset, its links to its parents (all who own those
sign too) and its claims, all or nothing. Works of one generation travel together, a generation after
the other, because a work's parents must stand before it.
"""

from __future__ import annotations

import asyncio
import csv
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from licet.client import Client
from licet.client_commands import Submission
from licet.crypto import SigningKey
from licet.errors import LicetError
from licet.keys import generate_key, save_key
from licet.outcomes import Committed
from licet.transactions import (
    AssetBinding,
    Command,
    CreateOffer,
    LinkLineage,
    ParamBinding,
    PublishTemplate,
    RegisterAsset,
    RegisterClaim,
    RoleBinding,
)
from licet.types import Hash32

EXAMPLES: Final = Path(__file__).resolve().parent
TEMPLATES: Final = ("stock.image_flat", "ads.per_use", "ai.style_sale")
OFFER_ASSETS: Final = 100  # in one offer
FLAT_FEE: Final = "EUR 99.99"
SALE_FEE: Final = "EUR 12.5000"
ARTIST: Final = "ada.okafor"

Report = Callable[[Committed, float], None]  # the outcome, and the seconds until it was final


@dataclass(slots=True, kw_only=True)
class Work:
    """A work of the catalogue with everything that is registered with it."""

    asset: str
    kind: str
    title: str
    registrant: str
    content: bytes
    parents: list[tuple[str, str, int]] = field(default_factory=list)  # parent, relation, rate e9
    claims: list[tuple[str, str, str, int]] = field(default_factory=list)  # holder, right, territory, ppm


def rows(path: Path) -> list[dict[str, str]]:
    """The rows of a CSV by column."""
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def exact(percent: str, whole: int) -> int:
    """A percentage of `whole` in integers; refuses what is not exact."""
    units, _, fraction = percent.partition(".")
    parts: int = 10 ** len(fraction)
    share, rest = divmod(int(units + fraction) * whole, 100 * parts)
    if rest:
        raise ValueError(f"{percent} % is no whole number of parts of {whole}")
    return share


def read_works(folder: Path) -> list[Work]:
    """The catalogue's works in the order of the file, parents first."""
    works = {
        row["asset"]: Work(
            asset=row["asset"],
            kind=row["kind"],
            title=row["title"],
            registrant=row["registrant"],
            content=bytes.fromhex(row["content_sha256"]),
        )
        for row in rows(folder / "works.csv")
    }
    for row in rows(folder / "lineage.csv"):
        rate = exact(row["rate_percent"], 10**9)
        works[row["child"]].parents.append((row["parent"], row["relation"], rate))
    for row in rows(folder / "claims.csv"):
        share = exact(row["share_percent"], 10**6)
        works[row["asset"]].claims.append((row["holder"], row["right"], row["territory"], share))
    return list(works.values())


def generations(works: Sequence[Work]) -> list[list[Work]]:
    """Works by the length of their longest line of ancestors."""
    depth: dict[str, int] = {}
    for work in works:
        depth[work.asset] = 1 + max((depth[parent] for parent, _, _ in work.parents), default=-1)
    return [[w for w in works if depth[w.asset] == level] for level in range(max(depth.values()) + 1)]


class Cast:
    """Who acts: every party's key, and one connection for all of them."""

    def __init__(self, client: Client, known: dict[str, SigningKey], folder: Path) -> None:
        self.client = client
        self.keys = dict(known)
        self._folder = folder

    def key(self, party: str) -> SigningKey:
        """The party's key, made and saved when first asked for."""
        if party not in self.keys:
            self.keys[party] = generate_key()
        path = self._folder / f"{party}.key"
        if not path.exists():
            self._folder.mkdir(parents=True, exist_ok=True)
            save_key(path, self.keys[party])
        return self.keys[party]

    def acting(self, party: str) -> Client:
        """The connection, for a party."""
        return self.client.acting(party, self.key(party))

    def signed_by(self, sender: str, others: Iterable[str] = ()) -> Submission:
        """How a transaction of `sender` is signed where others sign too."""
        return Submission(sender=sender, keys=tuple(self.key(party) for party in (sender, *others)))

    async def submit(self, sender: str, commands: Sequence[Command], others: Iterable[str] = ()) -> Committed:
        """One transaction of several commands."""
        return await self.client.submit(*commands, how=self.signed_by(sender, others))


async def together(jobs: Iterable[Any], report: Report) -> list[Committed]:
    """Run jobs at once; the first that fails ends all, and its error is raised."""

    async def one(job: Any) -> Committed:
        start = time.monotonic()
        outcome: Committed = await job
        report(outcome, time.monotonic() - start)
        return outcome

    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(one(job)) for job in jobs]
    except BaseExceptionGroup as failed:
        refused = failed.subgroup(LicetError)
        raise (refused or failed).exceptions[0] from None
    return [task.result() for task in tasks]


async def register_parties(cast: Cast, folder: Path, known: set[str], report: Report) -> int:
    """Register every party of the catalogue that the network does not begin with."""
    missing = [row for row in rows(folder / "parties.csv") if row["party"] not in known]
    jobs = [
        cast.client.register_party(
            row["party"], name=row["name"], kind=row["kind"], key=cast.key(row["party"])
        )
        for row in missing
    ]
    return len(await together(jobs, report))


def commands_of(work: Work) -> list[Command]:
    """What registers a work."""
    return [
        RegisterAsset(asset=work.asset, kind=work.kind, title=work.title, content_hashes=(work.content,)),
        *(
            LinkLineage(child=work.asset, parent=parent, relation=relation, rate_e9=rate)
            for parent, relation, rate in work.parents
        ),
        *(
            RegisterClaim(
                claim=f"{work.asset}.{number}",
                asset=work.asset,
                holder=holder,
                right=right,
                territory=territory,
                share_ppm=share,
            )
            for number, (holder, right, territory, share) in enumerate(work.claims, 1)
        ),
    ]


async def register_works(cast: Cast, works: Sequence[Work], report: Report) -> None:
    """Register the catalogue, a generation at a time."""
    owners = {work.asset: (work.registrant, *(claim[0] for claim in work.claims)) for work in works}
    for generation in generations(works):
        jobs = []
        for work in generation:
            others = dict.fromkeys(owner for parent, _, _ in work.parents for owner in owners[parent])
            others.pop(work.registrant, None)
            jobs.append(cast.submit(work.registrant, commands_of(work), others))
        await together(jobs, report)


async def publish_terms(cast: Cast, publisher: str, report: Report) -> dict[str, Hash32]:
    """Publish the three templates; returns each program's hash."""
    sources = [(EXAMPLES / "terms" / f"{name}.terms").read_text(encoding="utf-8") for name in TEMPLATES]
    jobs = [cast.submit(publisher, [PublishTemplate(source=source)]) for source in sources]
    await together(jobs, report)
    return {name: Hash32((await cast.client.get_template(name)).program_hash) for name in TEMPLATES}


def _offer(
    offer: str,
    program: Hash32,
    roles: dict[str, str],
    params: dict[str, str],
    slot: str,
    assets: Sequence[str],
) -> CreateOffer:
    return CreateOffer(
        offer=offer,
        program_hash=program,
        roles=tuple(RoleBinding(role=role, party=party) for role, party in roles.items()),
        params=tuple(ParamBinding(name=name, value=value) for name, value in params.items()),
        assets=tuple(AssetBinding(slot=slot, asset=asset) for asset in assets),
    )


async def create_offers(
    cast: Cast, works: Sequence[Work], programs: dict[str, Hash32], report: Report
) -> dict[str, str]:
    """Offer every photo by its photographer, every creative and every generated image by the studio.

    Returns the offer under which each asset is to be had.
    """
    offered: dict[str, str] = {}
    jobs = []
    photos = [work for work in works if work.kind == "photo"]
    by_holders: dict[tuple[str, ...], list[str]] = {}
    for photo in photos:
        by_holders.setdefault((photo.registrant, *(c[0] for c in photo.claims)), []).append(photo.asset)
    for holders, assets in by_holders.items():
        licensor, partners = holders[0], sorted(set(holders) - {holders[0]})
        name = "-".join(["photos", licensor, *partners])[:64]
        roles = {"licensor": licensor, "agency": "agency"}
        command = _offer(name, programs["stock.image_flat"], roles, {"fee": FLAT_FEE}, "work", assets)
        jobs.append(cast.submit(licensor, [command], [*partners, "agency"]))
        offered.update(dict.fromkeys(assets, name))
    creatives = [work.asset for work in works if work.kind == "composite"]
    command = _offer(
        "campaigns",
        programs["ads.per_use"],
        {"studio": "studio", "artist": ARTIST},
        {},
        "creative",
        creatives,
    )
    jobs.append(cast.submit("studio", [command], [ARTIST]))
    offered.update(dict.fromkeys(creatives, "campaigns"))
    images = [work.asset for work in works if work.kind == "generated_image"]
    for number in range(0, len(images), OFFER_ASSETS):
        part = images[number : number + OFFER_ASSETS]
        name = f"images-{number // OFFER_ASSETS + 1}"
        fee = {"fee": SALE_FEE}
        command = _offer(name, programs["ai.style_sale"], {"owner": "studio"}, fee, "work", part)
        jobs.append(cast.submit("studio", [command]))
        offered.update(dict.fromkeys(part, name))
    await together(jobs, report)
    return offered


async def load_stock(
    cast: Cast, *, known: set[str], report: Report, folder: Path = EXAMPLES / "catalogue"
) -> tuple[list[Work], dict[str, str]]:
    """Everything up to the first sale: parties, works, terms, offers."""
    works = read_works(folder)
    await register_parties(cast, folder, known, report)
    await register_works(cast, works, report)
    programs = await publish_terms(cast, "studio", report)
    return works, await create_offers(cast, works, programs, report)
