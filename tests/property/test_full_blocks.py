"""Whatever asks for work takes effect within a few blocks, however full others keep them: payments, closes,
reports that owe, first sales of wide offers, and what is none of those (C-16).

A node's pool and foresight fill the blocks, transfers come without end, and what a block refuses with
`BLOCK_FULL` is sent again at once, as the SDK does."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache

import pytest
from licet import transactions as t
from licet.types import Hash32, TimestampMs, ValidatorIndex, View

from consensus.effects import BuildProposal
from consensus.types import Block
from licensing_vm.domain.reach import OPEN_ITEM, OPEN_MAX, WORK_MIN
from licensing_vm.foresight import Foresight
from licensing_vm.transition import BlockInput, Machine, Status, cost
from node.core.batches import Batch
from node.core.mempool import Added, Mempool
from tests.property.worst import FEBRUARY, money, offered, roles, template, world
from tests.unit.licensing_vm.domain.kit import EUR, START_MS, Ledger, offer_of, publish
from tests.unit.node.core import world as nodes

FEW = 6  # blocks, from when it was sent first
CROWD = tuple(f"s{n}" for n in range(400))  # meeting all of them takes more than a full block leaves
MOVES = 970  # transfers that come while a block is made: more than it has room for beside anything


@dataclass
class _Load:
    """A pool that is never empty over a ledger."""

    state: dict[bytes, bytes]
    ledger: Ledger
    machine: Machine = field(init=False)
    pool: Mempool = field(init=False)
    blocks: int = 0
    made: int = 0
    refusals: int = 0
    sent_in: dict[Hash32, int] = field(default_factory=dict)
    done_in: dict[Hash32, int] = field(default_factory=dict)
    crowd: tuple[str, ...] = ("seller",)
    moved: int = 0

    def __post_init__(self) -> None:
        parameters = self.ledger.genesis.parameters
        self.machine = Machine(self.state, self.ledger.genesis, height=self.ledger.height)
        self.pool = Mempool(
            me=ValidatorIndex(0),
            block_batches_max=parameters.block_batches_max,
            block_cost_max=parameters.block_cost_max,
            digest_window_ms=10**6,
            foresight=self.machine.foresight,
        )

    def send(self, transactions: Sequence[t.Transaction]) -> None:
        """Gathered as admission gathers: a batch is closed where its room ends."""
        room, batch, declared = self.machine.foresight.room(), list[t.Transaction](), 0
        for tx in transactions:
            self.sent_in.setdefault(tx.hash, self.blocks)
            limit = self.ledger.genesis.parameters.block_cost_max
            if batch and (declared + cost(tx) > limit or not room.takes((tx,), cost(tx))):
                self._add(batch)
                room, batch, declared = self.machine.foresight.room(), [], 0
            if not batch:
                room.takes((tx,), cost(tx), whatever=True)
            batch.append(tx)
            declared += cost(tx)
        if batch:
            self._add(batch)

    def _add(self, transactions: Sequence[t.Transaction]) -> None:
        self.made += 1
        batch = Batch(
            digest=Hash32(self.made.to_bytes(32, "big")),
            raw=bytes(250 * len(transactions)),
            author=ValidatorIndex(0),
            transactions=tuple(transactions),
            valid_until_ms=1 << 50,
            cost=sum(map(cost, transactions)),
        )
        assert self.pool.add(batch, mono_us=self.made) is Added.NEW

    def block(self) -> list[t.Transaction]:
        """Propose, execute and make final one block; what it had no room for."""
        self.blocks += 1
        request = BuildProposal(
            view=View(self.blocks),
            parent_id=Hash32(bytes(32)),
            timestamp_ms=TimestampMs(1),
            exclude=frozenset(),
        )
        digests, _ = self.pool.build(request)
        oldest = next(self.pool.batches()).digest
        assert oldest in digests, "the oldest batch is never left out"
        ordered: Block = nodes.block(digests, view=self.blocks, height=self.blocks)
        transactions = [
            tx for one in self.pool.finalise(ordered).batches if one is not None for tx in one.transactions
        ]
        result = self.machine.execute(
            BlockInput(
                height=self.ledger.height + self.blocks,
                timestamp_ms=self.ledger.now + self.blocks,
                transactions=transactions,
            )
        )
        for key, value in result.writes.items():
            assert value is not None
            self.state[key] = value
        self.machine.commit()
        full: list[t.Transaction] = []
        for tx, done in zip(transactions, result.executed, strict=True):
            if done.code == "BLOCK_FULL":
                full.append(tx)
            else:
                assert done.status is Status.COMMITTED, done.read().refusal
                self.done_in[tx.hash] = self.blocks
        self.refusals += len(full)
        return full

    def keep_full(self, wanted: Sequence[t.Transaction], *, backlog: int = 0) -> int:
        """Send these among transfers, and again where there was no room, until all are done; the number of
        blocks that the last of them took."""
        for _ in range(backlog):
            self.send(self.moves(MOVES))
        self.send(wanted)
        for _ in range(60):
            self.send(self.moves(MOVES))
            self.send(self.block())
            if all(tx.hash in self.done_in for tx in wanted):
                return max(self.done_in[tx.hash] - self.sent_in[tx.hash] for tx in wanted)
        left = [type(tx.body.commands[0]).__name__ for tx in wanted if tx.hash not in self.done_in]
        raise AssertionError(f"never executed: {left}")

    def moves(self, count: int) -> list[t.Transaction]:
        out = []
        for _ in range(count):
            self.moved += 1
            move = t.Transfer(to=self.crowd[self.moved % len(self.crowd)], amount=money(1))
            out.append(self.ledger.tx("buyer", move, valid_for_ms=10**9))
        return out


@cache
def _ledger() -> Ledger:
    """Agreements with few and many debts, periods to close, and offers that nobody accepted yet."""
    ledger = world()
    ledger.check_books = lambda: None  # type: ignore[method-assign]
    ledger.party(*CROWD)
    for name, legs, when in (
        ("small", 2, "on activated"),
        ("broad", 300, "on activated"),
        ("monthly", 120, "at close of month"),
        ("used", 40, "on used(used)"),
    ):
        offered(ledger, name, legs, verb="owes", when=when)
        for n in range(3):
            ledger.run("buyer", t.AcceptOffer(agreement=f"{name}{n}", offer=name))
    hash_ = publish(ledger, template("wide", 400), "seller")
    for n in range(3):
        ledger.run("seller", offer_of(f"wide{n}", hash_, roles(400), {}, {"w": "w"}))
    ledger.now = FEBRUARY
    return ledger


def _asked(ledger: Ledger, kind: str, n: int = 0) -> t.Transaction:
    start = START_MS
    report = t.ReportUsage(
        report=f"r{n}",
        fact="used",
        period_start_ms=start,
        agreements=(f"used{n}",),
        agreement_index=[0],
        offset_ms=[0],
        quantity=[1],
    )
    command: dict[str, tuple[str, t.Command]] = {
        "payment": ("buyer", t.Pay(agreement=f"small{n}", amount=money(10 * EUR))),
        "payment of 300": ("buyer", t.Pay(agreement=f"broad{n}", amount=money(10 * EUR))),
        "close": ("seller", t.ClosePeriod(agreement=f"monthly{n}", period="month", period_start_ms=start)),
        "report": ("buyer", report),
        "first sale": ("buyer", t.AcceptOffer(agreement=f"w{n}", offer=f"wide{n}")),
    }
    sender, one = command[kind]
    return ledger.tx(sender, one, valid_for_ms=10**9)


KINDS = ("payment", "payment of 300", "close", "report", "first sale")


@pytest.mark.parametrize("crowd", [("seller",), CROWD], ids=["one account", "a crowd"])
@pytest.mark.parametrize("kind", KINDS)
def test_it_takes_effect_within_a_few_blocks_that_others_keep_full(kind: str, crowd: tuple[str, ...]) -> None:
    ledger = _ledger()
    load = _Load(dict(ledger.state), ledger, crowd=crowd)
    assert load.keep_full([_asked(ledger, kind)]) <= FEW


def test_an_ordinary_payment_needs_no_more_than_it_spends() -> None:
    """It fits into a block whose declared costs leave as little as there may be, and is not put off."""
    ledger = _ledger()
    load = _Load(dict(ledger.state), ledger)
    assert load.keep_full([_asked(ledger, "payment", n) for n in range(3)]) == 1
    assert load.refusals == 0
    assert WORK_MIN < OPEN_MAX * OPEN_ITEM, "less than reading all that an agreement may owe"


def test_all_of_them_together_behind_a_backlog() -> None:
    ledger = _ledger()
    load = _Load(dict(ledger.state), ledger)
    backlog = 4
    wanted = [_asked(ledger, kind, n) for n in range(3) for kind in KINDS]
    # One that needs most of a block for itself goes with each, oldest first.
    assert load.keep_full(wanted, backlog=backlog) <= backlog + FEW + len(wanted)
    assert load.refusals <= 3 * len(wanted), "few are ordered in vain"


def test_what_is_no_known_thing_is_remembered_by_its_bytes() -> None:
    """Several commands in one transaction."""
    ledger = _ledger()
    load = _Load(dict(ledger.state), ledger)
    pays = [t.Pay(agreement="broad0", amount=money(5 * EUR))] * 2
    assert load.keep_full([ledger.tx("buyer", *pays, valid_for_ms=10**9)]) <= FEW


def test_without_what_refusals_teach_it_would_never_be_executed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The guard of this file: the load is one that starves what nobody leaves room for."""
    monkeypatch.setattr(Foresight, "refused", lambda self, transaction, units: None)
    ledger = _ledger()
    load = _Load(dict(ledger.state), ledger)
    with pytest.raises(AssertionError, match="never executed"):
        load.keep_full([_asked(ledger, "payment of 300")])
