"""More of the worst (C-16): what lists, records met for the first time and many small commands make dear.

Beside `tests.property.worst`, whose shapes are about terms. Every shape fills a block to its declared cost,
or comes close to what the budget of work allows. See there for how they are run.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace

from licet import transactions as t

from tests.property.worst import Make, accept, first_sales, money, offered, roles, template
from tests.unit.licensing_vm.domain.kit import EUR, START_MS, TERMS, Ledger, key_of, offer_of, publish

CROWD = 200
Step = tuple[str, t.Transaction]


def _key(name: str, *scopes: str) -> t.Key:
    return t.Key(public_key=key_of(name), scopes=scopes or ("all",))


def registrations(keys: int, count: int) -> Make:
    def make(ledger: Ledger) -> Iterator[Step]:
        for n in range(count):
            own = tuple(_key(f"k{(n + at) % 400}") for at in range(keys))
            command = t.RegisterParty(name=f"P{n}", kind="person", keys=own)
            yield "worst", ledger.tx(f"new{n}", command, keys=[own[0].public_key])

    return make


def keys_added(ledger: Ledger) -> Iterator[Step]:
    """To parties that have fifteen already."""
    for n in range(CROWD):
        own = tuple(_key(f"k{n}-{at}" if at else f"member{n}") for at in range(15))
        command = t.RegisterParty(name=f"P{n}", kind="person", keys=own)
        yield "before", ledger.tx(f"member{n}", command)
        yield "worst", ledger.tx(f"member{n}", t.AddKey(key=_key(f"k{n}-15")))


def crowd(ledger: Ledger) -> Iterator[Step]:
    for n in range(CROWD * 5):
        command = t.RegisterParty(name=f"P{n}", kind="person", keys=(_key(f"c{n}"),))
        yield "before", ledger.tx(f"c{n}", command)
    for n in range(CROWD * 5):
        yield "before", ledger.tx("bank", t.Deposit(to=f"c{n}", amount=money(EUR)))


def transfers_of_strangers(ledger: Ledger) -> Iterator[Step]:
    """Every payer and every payee once: two balances and two parties met for the first time."""
    yield from crowd(ledger)
    for n in range(1_300):
        yield (
            "worst",
            ledger.tx(f"c{n % 1_000}", t.Transfer(to=f"c{(n + 500) % 1_000}", amount=money(n + 1))),
        )


def deposits(commands: int) -> Make:
    def make(ledger: Ledger) -> Iterator[Step]:
        yield from crowd(ledger)
        for n in range(2_000 // commands):
            many = [
                t.Deposit(
                    to=f"c{(n * commands + at) % 1_000}",
                    amount=money(1),
                    reference="r" * t.TEXT_BYTES_MAX,
                )
                for at in range(commands)
            ]
            yield "worst", ledger.tx("bank", *many)

    return make


def assets(hashes: int, ids: int, count: int, *, again: bool = False) -> Make:
    def make(ledger: Ledger) -> Iterator[Step]:
        for n in range(count):
            command = t.RegisterAsset(
                asset=f"big{n}",
                kind="image",
                title="t" * t.TEXT_BYTES_MAX,
                content_hashes=tuple(at.to_bytes(32, "big") for at in range(hashes)),
                external_ids=tuple(t.ExternalId(scheme="isrc", value=f"{at:0200}") for at in range(ids)),
            )
            yield "before" if again else "worst", ledger.tx("seller", command)
            if again:
                yield "worst", ledger.tx("seller", t.AddAssetVersion(asset=f"big{n}"))

    return make


def _claims(ledger: Ledger, asset: str, count: int) -> Iterator[Step]:
    for n in range(count):
        claim = t.RegisterClaim(
            claim=f"{asset}-{n}", asset=asset, holder=f"c{n}", share_ppm=3_000, right="display"
        )
        yield "before", ledger.tx("seller", claim)


def many_claims(ledger: Ledger) -> Iterator[Step]:
    """One more claim on works that have 255, each by another holder."""
    yield from crowd(ledger)
    for n in range(8):
        yield "before", ledger.tx("seller", t.RegisterAsset(asset=f"m{n}", kind="image", title="M"))
        yield from _claims(ledger, f"m{n}", 250)
    for k in range(5):
        for n in range(8):
            claim = t.RegisterClaim(
                claim=f"last{n}-{k}", asset=f"m{n}", holder="buyer", right="reproduce", share_ppm=1_000
            )
            yield "worst", ledger.tx("seller", claim)


def sheets_of_many(ledger: Ledger) -> Iterator[Step]:
    """A sheet that 256 holders would have to sign; sixteen signatures are compared with each one's keys."""
    yield from crowd(ledger)
    yield from _claims(ledger, "w", 250)
    legs = (t.PayoutLeg(party="seller", share_ppm=1_000_000),)
    for _ in range(200):
        sheet = t.SetPayoutSheet(asset="w", legs=legs)
        yield "worst", ledger.tx("seller", sheet, signers=[f"q{n}" for n in range(15)])


def sheets(legs: int) -> Make:
    def make(ledger: Ledger) -> Iterator[Step]:
        yield from crowd(ledger)
        for n in range(200):
            yield "before", ledger.tx("seller", t.RegisterAsset(asset=f"s{n}", kind="image", title="S"))
        rest = 1_000_000 - (legs - 1)
        shares = tuple(t.PayoutLeg(party=f"c{n}", share_ppm=1 if n else rest) for n in range(legs))
        for n in range(200):
            yield "worst", ledger.tx("seller", t.SetPayoutSheet(asset=f"s{n}", legs=shares))

    return make


def _generations(ledger: Ledger, wide: int, deep: int) -> Iterator[Step]:
    """`deep` generations of `wide` works, each derived from all of the one above."""
    for level in range(deep):
        for n in range(wide):
            yield (
                "before",
                ledger.tx("seller", t.RegisterAsset(asset=f"g{level}-{n}", kind="image", title="G")),
            )
            for above in range(wide if level else 0):
                yield "before", _link(ledger, f"g{level}-{n}", f"g{level - 1}-{above}")


def _link(ledger: Ledger, child: str, parent: str) -> t.Transaction:
    return ledger.tx(
        "seller", t.LinkLineage(child=child, parent=parent, relation="derived", rate_e9=1_000_000)
    )


def links(wide: int, deep: int) -> Make:
    """A new work is linked to each of the last generation."""

    def make(ledger: Ledger) -> Iterator[Step]:
        yield from _generations(ledger, wide, deep)
        for n in range(40):
            yield "before", ledger.tx("seller", t.RegisterAsset(asset=f"x{n}", kind="image", title="X"))
            yield "worst", _link(ledger, f"x{n}", f"g{deep - 1}-{n % wide}")

    return make


LINEAGE_TERMS = """template line version 1.0.0 "T" {{ parties {{ seller: one; buyer: one; }}
  assets {{ w: image; }} currency EUR scale 2 round half_even;
  lineage up {{ mode {mode}; depth 8; stack max 40%; count {count}; }}
  pay P "P" on activated {{ buyer pays EUR 10.00; split EUR 10.00 {{ rest -> seller; lineage up; }} }} }}"""


def lineage_sales(wide: int, deep: int, mode: str, count: str, offers: int) -> Make:
    """Sales under many offers of works that have many ancestors, met for the first time."""

    def make(ledger: Ledger) -> Iterator[Step]:
        yield from _generations(ledger, wide, deep)
        hash_ = publish(ledger, LINEAGE_TERMS.format(mode=mode, count=count), "seller")
        for n in range(offers):
            offer = offer_of(f"l{n}", hash_, {"seller": "seller"}, {}, {"w": f"g{deep - 1}-{n % wide}"})
            yield "before", ledger.tx("seller", offer)
        for n in range(600):
            yield "worst", accept(ledger, f"l{n % offers}", f"la{n}")

    return make


def offers_unsold(count: int, commands: int) -> Make:
    """First sales under offers of two payees that were made long ago: the hole of many standing offers."""
    if commands == 1:
        return first_sales(2, count, made=False)

    def make(ledger: Ledger) -> Iterator[Step]:
        hash_ = publish(ledger, template("o", 2), "seller")
        for n in range(count):
            offer = offer_of(f"o{n}", hash_, roles(2), {}, {"w": "w"})
            yield "before", ledger.tx("seller", offer)
        for n in range(0, count, commands):
            many = [t.AcceptOffer(agreement=f"a{at}", offer=f"o{at}") for at in range(n, n + commands)]
            yield "worst", ledger.tx("buyer", *many, valid_for_ms=10**10)

    return make


def programs(count: int, size: int) -> Make:
    """Each sale under another template, none of them loaded."""

    def make(ledger: Ledger) -> Iterator[Step]:
        for n in range(count):
            offered(ledger, f"t{n}", size)
        for n in range(count):
            yield "worst", accept(ledger, f"t{n}", f"pa{n}")

    return make


def reported(agreements: int, distinct: bool, rows: int) -> Make:
    """Reports that only add to totals, about agreements of one offer or of one template each."""

    def make(ledger: Ledger) -> Iterator[Step]:
        how = {"when": "at close of month", "verb": "owes"}
        names = tuple(f"a{n}" for n in range(agreements))
        for n, name in enumerate(names):
            if distinct or not n:
                offered(ledger, f"t{n}", 2, **how)
            yield "before", accept(ledger, f"t{n if distinct else 0}", name)
        for n in range(40):
            report = t.ReportUsage(
                report=f"r{n}",
                fact="used",
                period_start_ms=START_MS,
                agreements=names,
                agreement_index=[at % agreements for at in range(rows)],
                offset_ms=[0] * rows,
                quantity=[0] * rows,
            )
            yield "worst", ledger.tx("buyer", report)

    return make


def parameters(count: int) -> Make:
    """Offers of terms with 128 parameters, each a list of territories."""

    def make(ledger: Ledger) -> Iterator[Step]:
        params = "".join(f"t{n}: territory in WORLD default WORLD;" for n in range(60))
        grants = "".join(
            f'grant G{n} "G" {{ permit display of w to buyer where territory in t{n}'
            " during 1 year from effective }"
            for n in range(60)
        )
        source = f"""template p version 1.0.0 "T" {{ parties {{ seller: one; buyer: one; }}
          assets {{ w: image; }} currency EUR scale 2 round half_even; params {{ {params} }} {grants}
          pay P "P" on activated {{ buyer pays EUR 1.00 to seller; }} }}"""
        hash_ = publish(ledger, source, "seller")
        codes = "{DE, FR, IT, ES, PL, NL, BE, AT, SE, DK}"
        given = {f"t{n}": codes for n in range(60)}
        for n in range(count):
            yield (
                "before",
                ledger.tx("seller", offer_of(f"p{n}", hash_, {"seller": "seller"}, given, {"w": "w"})),
            )
        for n in range(count):
            yield "worst", accept(ledger, f"p{n}", f"pa{n}")

    return make


def offers_with_parameters(ledger: Ledger) -> Iterator[Step]:
    for phase, tx in parameters(45)(ledger):
        if isinstance(tx.body.commands[0], t.CreateOffer):
            yield "worst", tx
        elif phase == "before":
            yield phase, tx


def refused(what: Callable[[int], t.Command], sender: str = "buyer", signers: int = 0) -> Make:
    """Commands that are refused, with as many signatures as there may be."""

    def make(ledger: Ledger) -> Iterator[Step]:
        for n in range(1_300):
            yield "worst", ledger.tx(sender, what(n), signers=[f"q{at}" for at in range(signers)])

    return make


def ordinary(name: str, count: int, offers: int) -> Make:
    """What the benchmark's blocks hold: sales under a few offers that are sold all the time."""

    def make(ledger: Ledger) -> Iterator[Step]:
        hash_ = publish(ledger, (TERMS / "stock.image_flat.terms").read_text(), "seller")
        ledger.party("agency")
        for n in range(offers):
            offer = offer_of(
                f"f{n}",
                hash_,
                {"licensor": "seller", "agency": "agency"},
                {"fee": "EUR 9.99"},
                {"work": "w"},
            )
            yield "before", ledger.tx("seller", offer, signers=["agency"])
        for n in range(700):
            yield "worst", accept(ledger, f"f{n % offers}", f"fa{n}")

    return make


def rows_of_thousand(ledger: Ledger) -> Iterator[Step]:
    for phase, tx in reported(1, False, 1_000)(ledger):
        if phase == "before":
            yield phase, tx
    for n in range(110):
        report = t.ReportUsage(
            report=f"r{n}",
            fact="used",
            period_start_ms=START_MS,
            agreements=("a0",),
            agreement_index=[0] * 1_000,
            offset_ms=list(range(1_000)),
            quantity=[0] * 1_000,
        )
        yield "worst", ledger.tx("buyer", report)


def assets_again(ledger: Ledger) -> Iterator[Step]:
    for phase, tx in assets(1_024, 0, 60)(ledger):
        yield "before", replace(tx) if phase else tx
    for n in range(60):
        for _ in range(7):
            yield "worst", ledger.tx("seller", t.AddAssetVersion(asset=f"big{n}"))


WORST_LISTS: Mapping[str, Make] = {
    "ordinary sales, 8 offers": ordinary("f", 700, 8),
    "ordinary reports of 1,000 rows": rows_of_thousand,
    "transfers of strangers": transfers_of_strangers,
    "deposits": deposits(1),
    "deposits, 200 to a transaction": deposits(200),
    "registrations, 1 key": registrations(1, 190),
    "registrations, 16 keys": registrations(16, 190),
    "registrations, 400 keys, refused": registrations(400, 190),
    "keys added to 15": keys_added,
    "assets": assets(0, 0, 500),
    "assets, 1,024 hashes": assets(1_024, 0, 450),
    "assets, 1,024 ids": assets(0, 1_024, 450),
    "versions of assets with 1,024 hashes": assets_again,
    "claims on works with 250": many_claims,
    "sheets of 1 leg": sheets(1),
    "sheets of 64 legs": sheets(64),
    "sheets of 1,000 legs, refused": sheets(1_000),
    "sheets that 250 holders did not sign": sheets_of_many,
    "links, 8 generations of 8": links(8, 8),
    "links, 4 generations of 20": links(20, 4),
    "lineage sales, 7 of 8, relative, 1 offer": lineage_sales(8, 8, "relative", "once", 1),
    "lineage sales, 7 of 8, relative, 100 offers": lineage_sales(8, 8, "relative", "once", 100),
    "lineage sales, 7 of 8, absolute, 100 offers": lineage_sales(8, 8, "absolute", "every path", 100),
    "lineage sales, 3 of 20, relative, 100 offers": lineage_sales(20, 4, "relative", "every path", 100),
    "first sales, cash to 2": offers_unsold(600, 1),
    "first sales, cash to 2, 50 to a transaction": offers_unsold(750, 50),
    "programs, 2 legs": programs(300, 2),
    "programs, 400 legs": programs(40, 400),
    "reports on 500 agreements": reported(500, False, 500),
    "reports on 500 agreements, 20,000 rows": reported(500, False, 20_000),
    "reports on 100 programs": reported(100, True, 100),
    "60 lists of codes, first sales": parameters(60),
    "60 lists of codes, offers": offers_with_parameters,
    "refused transfers": refused(lambda n: t.Transfer(to="nobody", amount=money(1))),
    "refused, 16 signatures": refused(lambda n: t.AcceptOffer(agreement=f"x{n}", offer="none"), signers=15),
}
