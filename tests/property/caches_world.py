"""Random blocks of every command for the tests of caches: mostly right, some one field away from right, in a
small world of names, so that they meet, collide, come back after a rollback and end while somebody remembers.

`blocks` gives blocks with their times; nothing here executes them.
"""

from __future__ import annotations

import functools
from dataclasses import fields, replace
from random import Random
from typing import Any, Final, NamedTuple

from licet import transactions as t
from licet.types import Hash32, PublicKey

from licensing_vm.calendar import DAY_MS, Date, start_of
from licensing_vm.language.checker import check
from licensing_vm.program.encoding import program_hash
from tests.unit.licensing_vm.domain.kit import EUR, START_MS, TERMS, Ledger, key_of, offer_of, publish

PARTIES: Final = ("studio", "agency", "artist", "maker", "buyer", "other")
NEW_PARTIES: Final = ("new-1", "new-2")
KEYS: Final = ("spare-1", "spare-2")  # keys that come, go and end
ASSETS: Final = ("model", "work", "picture", "poster", "ad", "new-1", "new-2")
SCOPES: Final = ("all", "govern", "license", "pay", "report")
MONTHS: Final = tuple(start_of(Date(2026, month, 1)) for month in (1, 2, 3, 4))
STEPS: Final = (-40, -1, 0, 1, 40, 1_000, 60_000, DAY_MS // 2, DAY_MS, 40 * DAY_MS)


class Form(NamedTuple):
    """A template: its text, and how it is bound."""

    source: str
    digest: Hash32
    open_role: str
    roles: tuple[tuple[str, str], ...]  # the others
    slot: str
    fee: str  # empty where there is none
    kinds: tuple[str, ...]  # assets of the kinds that its slot takes


def _form(name: str, open_role: str, roles: dict[str, str], slot: str, fee: str, *args: Any) -> Form:
    kinds, replaced = args
    source = (TERMS / f"{name}.terms").read_text()
    for old, new in replaced.items():
        assert old in source, old
        source = source.replace(old, new)
    checked = check(source, warn=False)
    assert checked.program is not None, checked.report
    digest = Hash32(program_hash(checked.program))
    return Form(source, digest, open_role, tuple(roles.items()), slot, fee, kinds)


@functools.cache
def forms() -> tuple[Form, ...]:
    pair = {"licensor": "studio", "agency": "agency"}
    images = ("picture", "poster", "work", "new-1", "new-2")
    made = {"studio": "studio", "artist": "artist"}
    flat, used = "stock.image_flat", "ads.per_use"
    at_once = {"at close of month": "on used(impressions)", f"{used} ": "ads.at_once "}
    day = {"2 years": "1 days"}
    kinds = {
        "day": {**day, "exclusive no": "exclusive yes"},
        "sole": {**day, "exclusive no": "exclusive sole"},
        "brief": day,
        "usd": {"EUR": "USD"},
        "late": {},
    }
    variants = [
        _form(flat, "licensee", pair, "work", "USD 9.99" if name == "usd" else "EUR 9.99", images, {
            f"{flat} ": f"stock.{name} ", **replaced})
        for name, replaced in kinds.items()
    ]  # fmt: skip
    return (
        _form(flat, "licensee", pair, "work", "EUR 19.99", images, {}),
        _form("ai.style_sale", "licensee", {"owner": "studio"}, "work", "EUR 7.7701", ("work", "new-1"), {}),
        _form(used, "advertiser", made, "creative", "", ("ad", "new-2"), {}),
        _form(used, "advertiser", made, "creative", "", ("ad", "new-2"), at_once),
        *variants,
    )


def world() -> Ledger:
    """All parties, works with ancestors, all templates but the last, an offer of each, some money."""
    ledger = Ledger()
    ledger.party(*PARTIES, NEW_PARTIES[0])
    for party in ("buyer", "other", NEW_PARTIES[0]):
        ledger.fund(party, 300 * EUR)
        ledger.fund(party, 40_00, "USD")
    ledger.asset("maker", "model", kind="style")
    ledger.asset("studio", "work", kind="generated_image")
    ledger.asset("studio", "picture", "poster")
    ledger.asset("studio", "ad", kind="composite")
    ledger.link("work", "model", 150_000_000)
    for at, form in enumerate(forms()[:-1]):
        assert publish(ledger, form.source) == form.digest
        params = {"fee": form.fee} if form.fee else {}
        several = ("picture", "poster") if at == 0 else form.kinds[0]
        ledger.run("studio", offer_of(f"o{at}", form.digest, dict(form.roles), params, {form.slot: several}))
    ledger.run("buyer", t.AcceptOffer(agreement="n0", offer="o2"))
    ledger.run("buyer", t.AcceptOffer(agreement="n1", offer="o3"))
    day = forms()[4]
    reserved = t.CreateAgreement(
        agreement="n2",
        program_hash=day.digest,
        roles=tuple(
            t.RoleBinding(role=role, party=party) for role, party in (*day.roles, ("licensee", "other"))
        ),
        params=(t.ParamBinding(name="fee", value=day.fee),),
        assets=(t.AssetBinding(slot=day.slot, asset="poster"),),
    )
    ledger.run("studio", reserved, signers=PARTIES)
    return ledger


class Sent(NamedTuple):
    sender: str
    commands: tuple[t.Command, ...]
    keys: tuple[PublicKey, ...]


class Maker:
    """Draws commands. `now` is the time of the block they are for."""

    def __init__(self, random: Random) -> None:
        self.random = random
        self.now = START_MS
        self.before: list[tuple[str, t.Command]] = []

    def pick(self, of: Any) -> Any:
        return self.random.choice(of)

    def soon(self) -> int:
        return max(1, self.now + self.random.choice(STEPS))

    def sent(self) -> Sent:
        count = self.pick((1, 1, 1, 1, 2, 3))
        drawn = [self.drawn() for _ in range(count)]
        sender = drawn[0][0] if self.random.random() < 0.9 else self.pick(PARTIES)
        commands = tuple(command for _, command in drawn)
        if self.random.random() < 0.15:
            commands = (self.almost(commands[0]), *commands[1:])
        names = (
            (sender, *PARTIES) if self.random.random() < 0.8 else self.pick(((sender,), ("studio", "buyer")))
        )
        keys = [key_of(name) for name in names]
        if self.random.random() < 0.07:
            keys = [key_of(self.pick(KEYS))]
        return Sent(sender, commands, tuple(dict.fromkeys(keys)))

    def drawn(self) -> tuple[str, t.Command]:
        """A command and who would send it: a new one, or one like another before, under a new name."""
        if self.before and self.random.random() < 0.4:
            sender, command = self.pick(self.before[-12:])
            if isinstance(command, t.AcceptOffer | t.CreateAgreement):
                command = replace(command, agreement=self.fresh())
                if command.assets and self.random.random() < 0.3:
                    command = replace(command, assets=self._almost_items(command.assets))
            return sender, command
        found: tuple[str, t.Command] = self.pick(_DRAW)(self)
        self.before.append(found)
        return found

    def fresh(self) -> str:
        return f"n{self.random.randrange(60)}"

    def almost(self, value: Any) -> Any:
        """The same, one field away."""
        name = self.pick([field.name for field in fields(value)])
        held = getattr(value, name)
        if isinstance(value, t.ReportUsage) and name in ("agreement_index", "offset_ms", "quantity"):
            return value
        if isinstance(held, tuple):
            return replace(value, **{name: self._almost_items(held)})
        if isinstance(held, bool | int):
            new: Any = self.pick((0, 1, 2, held + 1, max(0, held - 1), 10**6, self.now, (1 << 63) - 1))
        elif isinstance(held, str):
            pool = (
                *ASSETS,
                *PARTIES,
                "o0",
                "o1",
                "n0",
                "work",
                "creative",
                "licensee",
                "EUR",
                "USD",
                "bank",
                "",
            )
            new = self.pick(pool)
        elif isinstance(held, bytes):
            new = self.pick([form.digest for form in forms()] + [bytes(32)])
        else:
            new = self.almost(held)
        return replace(value, **{name: new})

    def _almost_items(self, held: tuple[Any, ...]) -> tuple[Any, ...]:
        if not held or self.random.random() < 0.2:
            return held[1:]
        at = self.random.randrange(len(held))
        if self.random.random() < 0.2:
            return (*held, held[at])
        if isinstance(held[at], str):
            return (*held[:at], self.pick((*ASSETS, *PARTIES, "n0", "n1", "n2")), *held[at + 1 :])
        if isinstance(held[at], bytes):
            return held
        return (*held[:at], self.almost(held[at]), *held[at + 1 :])

    # -- one of each kind, with who would send it ----------------------------------------------------

    def buyer(self) -> str:
        return str(self.pick(("buyer", "buyer", "buyer", "other", "other", "new-1")))

    def party(self) -> tuple[str, t.Command]:
        name = self.pick(NEW_PARTIES)
        keys = (t.Key(public_key=key_of(name), scopes=("all",)),)
        return name, t.RegisterParty(name=name, kind="person", keys=keys)

    def key(self) -> tuple[str, t.Command]:
        public = key_of(self.pick(KEYS))
        if self.random.random() < 0.3:
            return self.buyer(), t.RevokeKey(public_key=public)
        scopes = tuple(sorted(self.random.sample(SCOPES, 2)))
        expires = self.pick((0, self.soon(), self.soon()))
        return self.buyer(), t.AddKey(key=t.Key(public_key=public, scopes=scopes, expires_ms=expires))

    def asset(self) -> tuple[str, t.Command]:
        if self.random.random() < 0.4:
            return "studio", t.AddAssetVersion(asset=self.pick(ASSETS), content_hashes=(bytes(32),))
        name, kind = self.pick((("new-1", "generated_image"), ("new-2", "composite"), ("new-2", "image")))
        return self.pick(("studio", "maker")), t.RegisterAsset(asset=name, kind=kind, title=name)

    def claim(self) -> tuple[str, t.Command]:
        begin = self.pick((0, 0, self.soon()))
        until = self.pick((0, begin and begin + DAY_MS, self.soon()))
        return "studio", t.RegisterClaim(
            claim=f"c{self.random.randrange(5)}",
            asset=self.pick(ASSETS),
            holder=self.pick(PARTIES),
            right=self.pick(("any", "any", "display", "ai")),
            territory=self.pick(("WORLD", "WORLD", "DE")),
            share_ppm=self.pick((1, 300_000, 500_000, 1_000_000)),
            from_ms=begin,
            until_ms=until,
        )

    def link(self) -> tuple[str, t.Command]:
        child, parent = self.pick(
            (("work", "picture"), ("work", "new-1"), ("new-1", "model"), ("new-2", "model"))
        )
        rate = self.pick((10_000_000, 400_000_000))
        return "studio", t.LinkLineage(child=child, parent=parent, relation="derived", rate_e9=rate)

    def sheet(self) -> tuple[str, t.Command]:
        some = self.pick((("maker",), ("maker", "other"), ("artist", "studio", "agency")))
        shares = {1: (1_000_000,), 2: (333_333, 666_667), 3: (1, 499_999, 500_000)}[len(some)]
        legs = tuple(t.PayoutLeg(party=p, share_ppm=n) for p, n in zip(some, shares, strict=True))
        return "maker", t.SetPayoutSheet(asset=self.pick(("model", "picture", "new-1")), legs=legs)

    def template(self) -> tuple[str, t.Command]:
        if self.random.random() < 0.6:
            return "studio", t.DeprecateTemplate(program_hash=self.pick(forms()).digest)
        return "studio", t.PublishTemplate(source=self.pick((forms()[-1], forms()[-1], forms()[4])).source)

    def offer(self) -> tuple[str, t.Command]:
        name = f"o{self.random.randrange(11)}"
        if self.random.random() < 0.2:
            return "studio", t.WithdrawOffer(offer=name)
        form = self.pick(forms())
        assets = self.random.sample(form.kinds, min(len(form.kinds), self.pick((1, 1, 2))))
        params = {"fee": self.pick((form.fee, form.fee[:3] + " 12.50"))} if form.fee else {}
        command = offer_of(name, form.digest, dict(form.roles), params, {form.slot: tuple(assets)})
        return "studio", replace(command, expires_ms=self.pick((0, 0, self.soon())))

    def accept(self) -> tuple[str, t.Command]:
        at = self.random.randrange(self.pick((8, 11)))
        form = forms()[at] if at < len(forms()) else self.pick(forms())
        chosen: tuple[t.AssetBinding, ...] = ()
        if at == 0 or self.random.random() < 0.3:
            chosen = (t.AssetBinding(slot=form.slot, asset=self.pick(form.kinds)),)
        return self.buyer(), t.AcceptOffer(
            agreement=self.fresh(),
            offer=f"o{at}",
            assets=chosen,
            effective_ms=self.pick((0, 0, 0, self.soon(), self.now + DAY_MS)),
        )

    def negotiate(self) -> tuple[str, t.Command]:
        form = self.pick(forms())
        parties = {**dict(form.roles), form.open_role: self.buyer()}
        return "studio", t.CreateAgreement(
            agreement=self.fresh(),
            program_hash=form.digest,
            roles=tuple(t.RoleBinding(role=role, party=party) for role, party in parties.items()),
            params=(t.ParamBinding(name="fee", value=form.fee),) if form.fee else (),
            assets=(t.AssetBinding(slot=form.slot, asset=self.pick(form.kinds)),),
            effective_ms=self.pick((0, 0, self.soon())),
        )

    def report(self) -> tuple[str, t.Command]:
        agreements = self.pick((("n0",), ("n1",), ("n0", "n1"), ("n2",), ("n3", "n1")))
        rows = self.random.randrange(1, 4)
        return "buyer", t.ReportUsage(
            report=f"r{self.random.randrange(30)}",
            fact="impressions",
            period_start_ms=self.pick(MONTHS[:3]),
            agreements=agreements,
            agreement_index=[n % len(agreements) for n in range(rows)],
            offset_ms=[n * 1_000 for n in range(rows)],
            quantity=[self.pick((0, 1_000, 900_000)) for _ in range(rows)],
        )

    def close(self) -> tuple[str, t.Command]:
        agreement, month = self.pick(("n0", "n1", "n2")), self.pick(MONTHS)
        return "studio", t.ClosePeriod(agreement=agreement, period="month", period_start_ms=month)

    def money(self) -> tuple[str, t.Command]:
        amount = t.Money(
            currency=self.pick(("EUR", "EUR", "USD")), minor=self.pick((1, 10_000, EUR, 40 * EUR))
        )
        match self.random.randrange(4):
            case 0:
                return self.pick(("bank", "mint")), t.Deposit(to=self.pick(PARTIES), amount=amount)
            case 1:
                return "bank", t.Withdraw(from_=self.pick(PARTIES), amount=amount)
            case 2:
                return "buyer", t.Pay(agreement=self.pick(("n0", "n1", "n2")), amount=amount)
            case _:
                issuer = self.pick(("", "bank", "mint"))
                return self.buyer(), t.Transfer(to=self.pick(PARTIES), amount=amount, issuer=issuer)


_DRAW: Final = (
    *(Maker.accept,) * 10,
    *(Maker.negotiate,) * 3,
    *(Maker.offer,) * 3,
    *(Maker.report,) * 3,
    *(Maker.money,) * 4,
    Maker.close,
    Maker.claim,
    Maker.claim,
    Maker.link,
    Maker.sheet,
    Maker.sheet,
    Maker.asset,
    Maker.asset,
    Maker.template,
    Maker.key,
    Maker.key,
    Maker.party,
)
