"""More of the worst (C-16): what blocks meet for the first time: accounts, parties of many keys, payees whom
nobody paid before, works with all the ancestors there may be, rights with many entries.

And ordinary blocks, which have to stay large. See `tests.property.worst` for how they are run.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import combinations

from licet import transactions as t

from licensing_vm.calendar import DAY_MS
from tests.property.worst import Make, accept, money, offered, roles, template
from tests.property.worst_lists import LINEAGE_TERMS, Step, crowd
from tests.unit.licensing_vm.domain.kit import EUR, START_MS, TERMS, Ledger, key_of, offer_of, publish

KNOWN = 300


def transfers_of_known(ledger: Ledger) -> Iterator[Step]:
    """A thousand plain payments among a few hundred accounts."""
    yield from crowd(ledger)
    for n in range(1_000):
        move = t.Transfer(to=f"c{(n * 7 + 1) % KNOWN}", amount=money(n + 1))
        yield "worst", ledger.tx(f"c{n % KNOWN}", move)


def transfers_of_many_keys(ledger: Ledger) -> Iterator[Step]:
    """Payers and payees of sixteen keys each, none of whom was met before."""
    for n in range(600):
        keys = tuple(
            t.Key(
                public_key=key_of(f"m{n}" if not at else f"k{at}"),
                scopes=("govern", "license", "report", "pay"),
                expires_ms=10**15 if at else 0,
            )
            for at in range(16)
        )
        yield "before", ledger.tx(f"m{n}", t.RegisterParty(name=f"M{n}", kind="person", keys=keys))
        yield "before", ledger.tx("bank", t.Deposit(to=f"m{n}", amount=money(EUR)))
    for n in range(1_000):
        yield (
            "worst",
            ledger.tx(f"m{n % 600}", t.Transfer(to=f"m{(n + 300) % 600}", amount=money(n + 1))),
        )


def sales_to_strangers(ledger: Ledger) -> Iterator[Step]:
    """First sales under offers each of which pays sixty others."""
    yield from crowd(ledger)
    hash_ = publish(ledger, template("o", 61), "seller")
    for n in range(60):
        parties = {"seller": "seller"} | {f"p{at}": f"c{(n * 60 + at) % 1_000}" for at in range(60)}
        yield "before", ledger.tx("seller", offer_of(f"o{n}", hash_, parties, {}, {"w": "w"}))
    for n in range(60):
        yield "worst", accept(ledger, f"o{n}", f"a{n}")


def _family(ledger: Ledger, name: str) -> Iterator[Step]:
    """A work with 256 ancestors, each somebody else's: sixty-four parents, of which each has three."""

    def link(child: str, parent: str, *owners: str) -> Step:
        made = t.LinkLineage(child=child, parent=parent, relation="derived", rate_e9=1_000_000_000)
        return "before", ledger.tx(owners[0], made, signers=owners[1:])

    yield "before", ledger.tx("seller", t.RegisterAsset(asset=name, kind="image", title="C"))
    for n in range(64):
        parent, owner = f"{name}-{n}", f"c{n}"
        yield "before", ledger.tx(owner, t.RegisterAsset(asset=parent, kind="image", title="P"))
        for at in range(3):
            root, first = f"{parent}-{at}", f"c{64 + n * 3 + at}"
            yield "before", ledger.tx(first, t.RegisterAsset(asset=root, kind="image", title="R"))
            yield link(parent, root, owner, first)
        yield link(name, parent, "seller", owner)


def sales_of_families(families: int, offers: int) -> Make:
    def make(ledger: Ledger) -> Iterator[Step]:
        yield from crowd(ledger)
        for n in range(families):
            yield from _family(ledger, f"f{n}")
        hash_ = publish(ledger, LINEAGE_TERMS.format(mode="absolute", count="once"), "seller")
        for n in range(offers):
            offer = offer_of(f"l{n}", hash_, {"seller": "seller"}, {}, {"w": f"f{n % families}"})
            yield "before", ledger.tx("seller", offer)
        for n in range(300):
            yield "worst", accept(ledger, f"l{n % offers}", f"la{n}")

    return make


def sales_of_many_ids(ledger: Ledger) -> Iterator[Step]:
    """Works with 1,024 external ids, each sold once."""
    hash_ = publish(ledger, template("o", 2), "seller")
    for n in range(12):
        ids = tuple(t.ExternalId(scheme="isrc", value=f"{at:0200}") for at in range(1_024))
        work = t.RegisterAsset(asset=f"i{n}", kind="image", title="I", external_ids=ids)
        yield "before", ledger.tx("seller", work)
        yield "before", ledger.tx("seller", offer_of(f"o{n}", hash_, roles(2), {}, {"w": f"i{n}"}))
    for n in range(12):
        yield "worst", accept(ledger, f"o{n}", f"a{n}")


COUNTRIES = (
    *("DE", "FR", "IT", "ES", "PL", "NL", "BE", "AT", "SE", "DK"),
    *("FI", "PT", "IE", "GR", "CZ", "HU", "RO", "BG", "HR", "SK"),
)


def sales_among_extents(ahead: int) -> Make:
    """Sales of a work that is licensed for 190 pairs of countries; `ahead`: each begins so many days later
    than the last, so that what is covered has to be written anew."""

    def make(ledger: Ledger) -> Iterator[Step]:
        source = """template p version 1.0.0 "T" { parties { seller: one; buyer: one; }
          assets { w: image; } currency EUR scale 2 round half_even;
          params { place: territory in WORLD default WORLD; }
          grant G "G" { permit display of w to buyer where territory in place during 1 year from effective }
          pay P "P" on activated { buyer pays EUR 1.00 to seller; } }"""
        hash_ = publish(ledger, source, "seller")
        for n, pair in enumerate(combinations(COUNTRIES, 2)):
            given = {"place": f"{{{', '.join(pair)}}}"}
            yield (
                "before",
                ledger.tx("seller", offer_of(f"e{n}", hash_, {"seller": "seller"}, given, {"w": "w"})),
            )
            yield "before", accept(ledger, f"e{n}", f"ea{n}")
        for n in range(600):
            start = START_MS + (10 + n * ahead) * DAY_MS if ahead else 0
            sold = t.AcceptOffer(agreement=f"eb{n}", offer=f"e{n % 190}", effective_ms=start)
            yield "worst", ledger.tx("buyer", sold, valid_for_ms=10**10)

    return make


def translations(programs: int, clauses: int, legs: int) -> Make:
    """Each program is run ten times, so that its clauses are translated."""

    def make(ledger: Ledger) -> Iterator[Step]:
        for n in range(programs):
            offered(ledger, f"t{n}", legs, clauses=clauses)
        for n in range(programs * 10):
            yield "worst", accept(ledger, f"t{n // 10}", f"ta{n}")

    return make


def mixed(ledger: Ledger) -> Iterator[Step]:
    """The benchmark's mix: a third each of purchases, payments and reports of one row."""
    ledger.party("agency", "artist")
    buyers = tuple(f"b{n}" for n in range(32))
    ledger.party(*buyers)
    for buyer in buyers:
        ledger.fund(buyer, 10**6 * EUR)
    flat, use = (publish(ledger, (TERMS / f"{name}.terms").read_text(), "seller") for name in _SOLD)
    ledger.asset("seller", *(f"photo{n}" for n in range(8)))
    yield "before", ledger.tx("seller", t.RegisterAsset(asset="ad", kind="composite", title="Ad"))
    for n in range(8):
        pair = {"licensor": "seller", "agency": "agency"}
        offer = offer_of(f"f{n}", flat, pair, {"fee": "EUR 9.99"}, {"work": f"photo{n}"})
        yield "before", ledger.tx("seller", offer, signers=["agency"])
    owners = {"studio": "seller", "artist": "artist"}
    yield (
        "before",
        ledger.tx("seller", offer_of("u", use, owners, {}, {"creative": "ad"}), signers=["artist"]),
    )
    for buyer in buyers:
        yield "before", ledger.tx(buyer, t.AcceptOffer(agreement=f"u-{buyer}", offer="u"))
    for n in range(1_200):
        buyer = buyers[n % 32]
        command = (
            t.AcceptOffer(agreement=f"m{n}", offer=f"f{n % 8}"),
            t.Transfer(to=buyers[(n * 7 + 1) % 32], amount=money(1_000 + n)),
            t.ReportUsage(
                report=f"r{n}",
                fact="impressions",
                period_start_ms=START_MS,
                agreements=(f"u-{buyer}",),
                agreement_index=[0],
                offset_ms=[1_000],
                quantity=[1],
            ),
        )[n % 3]
        yield "worst", ledger.tx(buyer, command, valid_for_ms=10**9)


_SOLD = ("stock.image_flat", "ads.per_use")

ORDINARY: Mapping[str, Make] = {
    "ordinary mix": mixed,
    f"ordinary transfers, {KNOWN} accounts": transfers_of_known,
}
WORST_MET: Mapping[str, Make] = {
    **ORDINARY,
    "transfers of strangers with 16 keys": transfers_of_many_keys,
    "first sales, cash to 60 strangers": sales_to_strangers,
    "lineage sales, 256 ancestors, 2 works": sales_of_families(2, 20),
    "sales of works with 1,024 ids": sales_of_many_ids,
    "programs translated, 60 clauses": translations(20, 60, 1),
    "programs translated, 10 clauses of 20 legs": translations(20, 10, 20),
    "sales among 190 extents": sales_among_extents(0),
    "sales among 190 extents, each later": sales_among_extents(1),
}
