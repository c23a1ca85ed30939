"""One seed, one run: what is drawn from it, how it goes, and what the checkers say at its end.

0 … heal        trouble, by a plan; an adversary all the time, in some seeds
heal … + 3 s    a new final block is due on every honest node (progress)
… + 8 s         every transaction is acknowledged
… a day later   in seeds that meter use: days are over, closed and paid
… idle
end             in some seeds power is lost once more; then the stores are checked
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Final

from tests.sim.byzantine.registry import ADVERSARIES
from tests.sim.checkers import check_all
from tests.sim.checkers.progress import LIMIT_US
from tests.sim.cluster import Cluster
from tests.sim.draw import Drawn, draw
from tests.sim.genesis import make_genesis
from tests.sim.load import load_of, small_blocks
from tests.sim.memo import SignatureMemo, memoised
from tests.sim.metering import DAY_MS
from tests.sim.mutants.registry import MUTANTS, mutated
from tests.sim.process import Costs
from tests.sim.trouble import PLANS, START_US, Plan
from tests.sim.workload import Workload
from tests.sim.world import MS, SECOND, World

SETTLE_US: Final = 8 * SECOND
IDLE_US: Final = 300 * MS
TRANSFERS: Final = 12
BANKING: Final = 3
SALES: Final = 8  # of which the buyer can pay four or five


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a run came to."""

    seed: int
    plan: str
    adversary: str  # "" when all are honest
    mutant: str
    digest: str
    failures: tuple[tuple[str, str], ...]  # (checker, what it found)
    beliefs: tuple[str, ...]  # what each node believed at the end
    trace_end: tuple[str, ...]
    progress_us: int | None
    height: int
    events: int
    acknowledged: int

    def command(self) -> str:
        """How to see it again."""
        mutant = f" --mutant {self.mutant}" if self.mutant else ""
        return f"python -m tests.sim --seed {self.seed}{mutant}"


def run_seed(seed: int, *, mutant: str = "") -> Outcome:
    """Run a seed; with `mutant`, the honest nodes' code is changed in that way."""
    with memoised() as memo, mutated(mutant), small_blocks(load_of(seed).block_workers):
        drawn = MUTANTS[mutant].drawn(seed) if mutant else draw(seed)
        run = Run(seed, drawn, memo)
        run.play()
        return run.outcome(mutant)


def run_plan(seed: int, plan: Plan, *, adversary: str = "", villain: int = -1) -> Run:
    """Run a plan made by hand, to its end; ask the run for its history and outcome."""
    with memoised() as memo, small_blocks(load_of(seed).block_workers):
        run = Run(seed, Drawn(plan=plan.__name__, adversary=adversary, villain=villain), memo, plan=plan)
        run.play()
        return run


class Run:
    """A run under way."""

    def __init__(self, seed: int, drawn: Drawn, memo: SignatureMemo, *, plan: Plan | None = None) -> None:
        self.plan = PLANS[drawn.plan] if plan is None else plan
        self.drawn = drawn
        self.load = load_of(seed)
        self.world = World(seed)
        villains = [drawn.villain] if drawn.adversary else []
        self.cluster = Cluster(self.world, memo, byzantine=villains)
        self.workload = Workload(self.cluster)
        for index in villains:
            adversary = ADVERSARIES[drawn.adversary](self.cluster, self.cluster.nodes[index])
            self.cluster.adversaries[index] = adversary
            adversary.begin()

    def play(self) -> None:
        """From the first start to the last check."""
        world, cluster, history = self.world, self.cluster, self.cluster.history
        self._equip()
        heal_us = world.between(900, 1_800) * MS
        for node in cluster.nodes:
            world.at(world.between(0, 40) * MS, partial(cluster.start, node))
        self.workload.fund(60 * MS)
        self.workload.transfers(TRANSFERS, START_US // 2, heal_us)
        self.workload.bank(BANKING, START_US, heal_us)
        if self.load.shop:
            self.workload.sales(SALES, 120 * MS, heal_us)
        if self.load.meters:
            self.workload.meter(90 * MS, heal_us)
        if self.load.keys:
            self.workload.change_keys(START_US, heal_us)
        self.plan(cluster, heal_us)
        world.run_until(heal_us)
        cluster.heal()
        history.healed_us = world.now_us
        history.view_wasted_us = 2 * MS * max(node.delta_ms() for node in cluster.honest)
        self._progress()
        world.run_until(world.now_us + SETTLE_US, lambda: self.settled)
        if self.load.meters and self.settled:
            self._days_pass()
        history.unsettled = self.workload.open
        world.run_until(world.now_us + IDLE_US)
        if world.chance(40):
            cluster.power_loss()
            for node in cluster.nodes:
                cluster.start(node)
            world.run_until(world.now_us + 50 * MS)
        self._end()

    def _days_pass(self) -> None:
        """Everybody's time of day moves on, nothing is on its way, and then there is a lot to close."""
        self.world.trace("clock", "days pass")
        latest_ms = max(node.clock.now_ms() for node in self.cluster.nodes)
        for node in self.cluster.nodes:  # set right: no block would say yet how late it is
            node.clock.step(latest_ms + 2 * DAY_MS - node.clock.now_ms())
        self.workload.days_later()
        self.world.run_until(self.world.now_us + 260 * MS)
        self.world.run_until(self.world.now_us + SETTLE_US, lambda: self.settled)

    def _equip(self) -> None:
        """Clocks, disks and processors as the seed has them."""
        world = self.world
        sync = world.random.choice((0, 200, 1_500))
        execute = world.random.choice((0, 300, 5_000))
        for node in self.cluster.nodes:
            node.clock.step(world.between(-150, 150))
            node.clock.drift(world.between(-200, 200))
            node.costs = Costs(sync_us=(sync // 2, sync), execute_us=(execute // 2, execute))

    def _progress(self) -> None:
        """Wait for a final block that is new to every honest node."""
        world, history = self.world, self.cluster.history
        highest = max(node.height for node in self.cluster.honest)
        for node in self.cluster.honest:
            self.workload.transfer(world.now_us + world.between(0, 20) * MS, node.index)
        patience_us = 2 * (LIMIT_US + history.view_wasted_us)
        if world.run_until(world.now_us + patience_us, lambda: self._lowest() > highest):
            history.progress_us = world.now_us - history.healed_us

    def _lowest(self) -> int:
        return min(node.height for node in self.cluster.honest)

    @property
    def settled(self) -> bool:
        """Nothing waits, and all honest nodes have executed the same height."""
        heights = {node.height for node in self.cluster.honest}
        return len(heights) == 1 and not self.workload.open

    def _end(self) -> None:
        history = self.cluster.history
        history.ended_us = self.world.now_us
        history.stores = {node.index: node.storage for node in self.cluster.honest}
        for node in self.cluster.honest:
            node.note_disk_votes()

    def outcome(self, mutant: str = "") -> Outcome:
        """The checkers' verdict."""
        world, history = self.world, self.cluster.history
        return Outcome(
            seed=world.seed,
            plan=self.drawn.plan,
            adversary=self.drawn.adversary,
            mutant=mutant,
            digest=world.digest,
            failures=tuple(check_all(history)),
            beliefs=tuple(self.belief(index) for index in range(history.n)),
            trace_end=tuple(world.lines),
            progress_us=history.progress_us,
            height=max((store.height or 0 for store in history.stores.values()), default=0),
            events=world.events,
            acknowledged=len(history.acks),
        )

    def belief(self, index: int) -> str:
        """What a node thinks of it all, in a sentence."""
        node = self.cluster.nodes[index]
        villain = " (the adversary)" if index in self.cluster.history.byzantine else ""
        name = f"n{index + 1}{villain}"
        if node.process is None:
            return f"{name}: down at height {node.height}: {node.down_why}"
        names = tuple(one.name for one in make_genesis().validators)
        status = node.parts.core.ordering.status(node.clock.mono_us())
        return f"{name}: height {node.height}: {status.sentence(names)}"


__all__ = ["Outcome", "Run", "run_plan", "run_seed"]
