"""Random sequences of commands: the books balance, refusals change nothing, order of the independent and
grouping into blocks do not matter, the same input gives the same bytes.

The bookkeeper of `tests.unit.licensing_vm.domain.kit` recomputes every balance after every block.
"""

from __future__ import annotations

from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from licet.entities import SplitTotal
from licet.transactions import (
    AcceptOffer,
    ClosePeriod,
    Command,
    CreateAgreement,
    Deposit,
    Money,
    Pay,
    PayoutLeg,
    RegisterClaim,
    ReportUsage,
    SetPayoutSheet,
    Transaction,
    Transfer,
    Withdraw,
)
from licet.types import Hash32

from licensing_vm.calendar import Date, start_of
from licensing_vm.transition import Status
from tests.unit.licensing_vm.domain.kit import EUR, START_MS, Ledger, offer_of, publish, roles_of

PARTIES = ("studio", "agency", "artist", "maker", "buyer", "other")
OFFERS = ("flat", "style", "use")
MONTHS = tuple(start_of(Date(2026, month, 1)) for month in (1, 2, 3))


def world() -> Ledger:
    """Parties, a model with two owners of its payout, works, three offers, some money."""
    ledger = Ledger()
    ledger.party(*PARTIES)
    for party in ("buyer", "other"):
        ledger.fund(party, 300 * EUR)
    ledger.asset("maker", "model", kind="style")
    ledger.asset("studio", "work", kind="generated_image")
    ledger.asset("studio", "picture")
    ledger.asset("studio", "ad", kind="composite")
    ledger.link("work", "model", 150_000_000)
    flat, style, use = (
        publish(ledger, name) for name in ("stock.image_flat", "ai.style_sale", "ads.per_use")
    )
    pair = {"licensor": "studio", "agency": "agency"}
    ledger.run("studio", offer_of("flat", flat, pair, {"fee": "EUR 19.99"}, {"work": "picture"}))
    ledger.run(
        "studio", offer_of("style", style, {"owner": "studio"}, {"fee": "EUR 7.7701"}, {"work": "work"})
    )
    ledger.run(
        "studio", offer_of("use", use, {"studio": "studio", "artist": "artist"}, {}, {"creative": "ad"})
    )
    ledger.run("buyer", AcceptOffer(agreement="use-0", offer="use"))
    return ledger


def in_february() -> Ledger:
    """January is reported and closed: the buyer owes 245 euros to two creditors."""
    ledger = world()
    rows = {"agreement_index": [0], "offset_ms": [5], "quantity": [122_500]}
    report = ReportUsage(
        report="seed", fact="impressions", period_start_ms=MONTHS[0], agreements=("use-0",), **rows
    )
    ledger.run("buyer", report)
    ledger.now = start_of(Date(2026, 2, 12))
    ledger.run("studio", ClosePeriod(agreement="use-0", period="month", period_start_ms=MONTHS[0]))
    return ledger


def money(minor: int) -> Money:
    return Money(currency="EUR", minor=minor)


AMOUNTS = st.sampled_from((1, 9_999, 10_000, EUR, 37 * EUR, 99 * EUR, 10_000 * EUR))
NEW = st.sampled_from(("n1", "n2", "n3", "n4", "n5"))
AGREEMENTS = st.sampled_from(("use-0", "use-0", "n1", "n2"))
SOMEBODY = st.sampled_from(PARTIES)

COMMANDS: st.SearchStrategy[Command] = st.one_of(
    st.builds(Transfer, to=SOMEBODY, amount=AMOUNTS.map(money)),
    st.builds(Deposit, to=SOMEBODY, amount=AMOUNTS.map(money)),
    st.builds(Withdraw, from_=SOMEBODY, amount=AMOUNTS.map(money)),
    st.builds(AcceptOffer, agreement=NEW, offer=st.sampled_from(OFFERS)),
    st.builds(Pay, agreement=AGREEMENTS, amount=AMOUNTS.map(money)),
    st.builds(
        ClosePeriod, agreement=AGREEMENTS, period=st.just("month"), period_start_ms=st.sampled_from(MONTHS)
    ),
    st.builds(
        SetPayoutSheet,
        asset=st.just("model"),
        legs=st.sampled_from(
            (
                (PayoutLeg(party="maker", share_ppm=1_000_000),),
                (PayoutLeg(party="maker", share_ppm=333_333), PayoutLeg(party="other", share_ppm=666_667)),
            )
        ),
    ),
    st.builds(
        RegisterClaim,
        claim=st.sampled_from(("c1", "c2")),
        asset=st.just("model"),
        holder=SOMEBODY,
        share_ppm=st.sampled_from((1, 500_000, 1_000_000)),
    ),
    st.builds(
        lambda report, month, rows, agreements: ReportUsage(
            report=report,
            fact="impressions",
            period_start_ms=month,
            agreements=agreements,
            agreement_index=[n % len(agreements) for n in range(len(rows))],
            offset_ms=[n * 1_000 for n in range(len(rows))],
            quantity=rows,
        ),
        report=st.sampled_from(("r1", "r2", "r3")),
        month=st.sampled_from(MONTHS[1:]),
        rows=st.lists(st.integers(0, 3_000_000), min_size=1, max_size=5),
        agreements=st.sampled_from((("use-0",), ("use-0",), ("use-0", "n1"))),
    ),
)
Step = tuple[str, list[Command], list[str]]

# Who would send it in good faith; now and then somebody else does.
_NATURAL: dict[type[Any], str] = {
    Deposit: "bank",
    Withdraw: "bank",
    SetPayoutSheet: "maker",
    RegisterClaim: "maker",
}


@st.composite
def _steps(draw: st.DrawFn) -> list[Step]:
    steps: list[Step] = []
    for _ in range(draw(st.integers(1, 12))):
        first = draw(COMMANDS)
        sender = _NATURAL.get(type(first), "buyer")
        if draw(st.integers(0, 4)) == 0:
            sender = draw(st.sampled_from((*PARTIES, "bank")))
        more = [command for command in draw(st.lists(COMMANDS, max_size=2)) if type(command) not in _NATURAL]
        signers = list(PARTIES) if draw(st.integers(0, 4)) else draw(st.lists(SOMEBODY, max_size=2))
        steps.append((sender, [first, *more], signers))
    return steps


STEPS = _steps()

few = settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)


def transactions(ledger: Ledger, steps: list[Step]) -> list[Transaction]:
    return [ledger.tx(sender, *commands, signers=signers) for sender, commands, signers in steps]


@few
@given(STEPS)
def test_the_books_balance_and_refusals_change_nothing(steps: list[Step]) -> None:
    ledger = in_february()
    for tx in transactions(ledger, steps):
        before = dict(ledger.state)
        [done] = ledger.block(tx, at_ms=ledger.now + 1).executed
        if done.status is Status.REFUSED:
            assert ledger.state == before
    totals = {
        k: ledger.read(k, SplitTotal).total for k in ledger.state if k.startswith((b"split/", b"sheet/"))
    }
    assert all(total >= 0 for total in totals.values())


@few
@given(STEPS, st.integers(1, 11))
def test_grouping_into_blocks_changes_neither_state_nor_outcomes(steps: list[Step], cut: int) -> None:
    """One block, two blocks, or one block each: the same end, so overlay and cache tell no tales."""
    ends: list[Any] = []
    for groups in ("one", "cut", "each"):
        ledger = in_february()
        batch = transactions(ledger, steps)
        parts = {"one": [batch], "cut": [batch[:cut], batch[cut:]], "each": [[tx] for tx in batch]}[groups]
        at, outcomes = ledger.now + 1, []
        height = ledger.height
        for part in parts:
            ledger.height = height  # the same block as far as the state can tell
            outcomes += [
                (done.hash, done.status, done.code) for done in ledger.block(*part, at_ms=at).executed
            ]
        ends.append((outcomes, ledger.state))
    assert ends[0] == ends[1] == ends[2]


@few
@given(STEPS)
def test_a_machine_without_a_cache_says_the_same(steps: list[Step]) -> None:
    """What is read again from bytes equals what was kept decoded."""
    ledgers = in_february(), in_february()
    cold = ledgers[1]
    results = []
    for ledger in ledgers:
        batch = transactions(ledger, steps)
        receipts = []
        for tx in batch:
            if ledger is cold:
                ledger.machine._state._limit = 0
                ledger.machine._context.programs.clear()
                ledger.machine._context.prepared.clear()
            receipts += [done.receipt for done in ledger.block(tx, at_ms=ledger.now + 1).executed]
        results.append((receipts, ledger.state))
    assert results[0] == results[1]


@few
@given(st.permutations(range(6)), st.lists(st.integers(1, 50), min_size=6, max_size=6))
def test_the_order_of_independent_transactions_does_not_matter(order: list[int], amounts: list[int]) -> None:
    """Sales under one offer with one T, and transfers: any order gives the same balances and T."""
    ends = []
    for sequence in (range(6), order):
        ledger = world()
        for n in ("p", "q"):
            ledger.run(
                "studio",
                CreateAgreement(
                    agreement=n,
                    program_hash=_hash_of(ledger, "ads.per_use"),
                    roles=roles_of(studio="studio", artist="artist", advertiser="buyer"),
                    assets=offer_of("x", b"", {}, {}, {"creative": "ad"}).assets,
                ),
                signers=["artist", "buyer"],
            )
        commands: list[tuple[str, Command]] = [
            ("buyer", AcceptOffer(agreement="s0", offer="style")),
            ("other", AcceptOffer(agreement="s1", offer="style")),
            ("buyer", AcceptOffer(agreement="s2", offer="flat")),
            ("other", AcceptOffer(agreement="s3", offer="flat")),
            ("other", Transfer(to="buyer", amount=money(amounts[4] * EUR))),
            ("buyer", Transfer(to="other", amount=money(amounts[5] * EUR))),
        ]
        ledger.now = START_MS + 10**9
        batch = [ledger.tx(sender, command) for sender, command in commands]
        result = ledger.block(*(batch[n] for n in sequence))
        assert all(done.status is Status.COMMITTED for done in result.executed)
        ends.append(ledger.state)
    assert ends[0] == ends[1]


def _hash_of(ledger: Ledger, name: str) -> Hash32:
    key = next(k for k in ledger.state if k.startswith(f"template-name/studio/{name}/".encode()))
    return Hash32(ledger.state[key][2:])


@few
@given(st.lists(st.integers(0, 2_000_000), min_size=1, max_size=8), st.integers(1, 7))
def test_splitting_a_usage_report_does_not_change_what_is_owed(rows: list[int], cut: int) -> None:
    owed = []
    for parts in ([rows], [rows[:cut], rows[cut:]]):
        ledger = world()
        for n, part in enumerate(parts):
            if part:
                ledger.run(
                    "buyer",
                    ReportUsage(
                        report=f"r{n}",
                        fact="impressions",
                        period_start_ms=START_MS,
                        agreements=("use-0",),
                        agreement_index=[0] * len(part),
                        offset_ms=[0] * len(part),
                        quantity=part,
                    ),
                )
        ledger.now = start_of(Date(2026, 2, 12))
        ledger.run("studio", ClosePeriod(agreement="use-0", period="month", period_start_ms=START_MS))
        owed.append([ledger.balance(p, "receivable") for p in ("artist", "studio")])
    assert owed[0] == owed[1]
