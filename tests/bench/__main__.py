"""`make bench`: measure, print the summary block, write `build/bench/summary.json`.

Stages, each on the same running network: the mix (one third each of purchase, payment and one-row
report), complete sales, the same on one hot account, rows in reports of 1,000, latency idle and at half
the measured peak, one node killed. Every stage signs just before it runs.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import grpc

from tests.bench import world as w
from tests.bench.ceiling import verify_ceiling
from tests.bench.load import CHANNEL_OPTIONS, Outcome, closed_loop, open_loop
from tests.bench.network import ROOT, Network
from tests.bench.signing import Actor, sign_many

OUT = ROOT / "build" / "bench"
STAGES = ("ceiling", "mix", "sales", "sales_hot", "rows", "idle", "half", "killed")


def machine() -> dict[str, Any]:
    """What was measured on."""
    model = next(
        (
            line.split(":", 1)[1].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if line.startswith("model name")
        ),
        platform.machine(),
    )
    pages, size = os.sysconf("SC_PHYS_PAGES"), os.sysconf("SC_PAGE_SIZE")
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=False
    ).stdout.strip()
    return {
        "cpu": model,
        "cores": os.cpu_count(),
        "memory_gib": round(pages * size / 2**30, 1),
        "python": platform.python_version(),
        "kernel": platform.release(),
        "commit": commit,
    }


class Bench:
    """One run over one network."""

    def __init__(self, network: Network, options: argparse.Namespace) -> None:
        self.network = network
        self.options = options
        self.chain_id = bytes.fromhex(network.facts["chain_id"])
        issuer = network.facts["parties"]["issuer"]
        self.issuer = Actor(party=issuer["party"], seed=bytes.fromhex(issuer["seed"]))
        self.actors = w.buyers()
        self.summary: dict[str, Any] = {}
        self.transactions = 0

    async def prepare(self) -> None:
        self.channel = grpc.aio.insecure_channel(self.network.targets[0], options=CHANNEL_OPTIONS)
        self.setup = w.Setup(self.channel, self.chain_id, self.issuer)
        await self.setup.run()

    async def sign(self, recipe: Any, count: int, tag: str) -> list[bytes]:
        envelope = await self.setup.envelope()
        begin = time.monotonic()
        now_ms = int(time.time() * 1000)
        context = w.World(actors=self.actors, tag=tag, month_ms=w.month_start_ms(now_ms))
        raws = await asyncio.to_thread(sign_many, recipe, context, envelope, self.actors, count)
        self.sign_us = (time.monotonic() - begin) / count * 1e6
        return raws

    async def peak(self, name: str, recipe: Any, guess: int, seconds: float, batch: int) -> Outcome:
        """Saturate for `seconds`; `guess` transactions a second are signed beforehand."""
        raws = await self.sign(recipe, int(guess * seconds), name)
        before_cpu, before_stages, before_height = (
            self.network.cpu_s(),
            self.network.stages(),
            self.network.height(),
        )
        if self.options.spy:
            command = self.options.spy.format(pid=self.network.nodes[0]["pid"], name=name)
            await asyncio.create_subprocess_shell(command)
        outcome = await closed_loop(
            self.network.targets,
            raws,
            batch=batch,
            in_flight=self.options.in_flight,
            seconds=seconds,
        )
        self.transactions += outcome.committed
        used = self.network.cpu_s() - before_cpu
        stages = {
            stage: seconds_used - before_stages.get(stage, 0.0)
            for stage, seconds_used in self.network.stages().items()
        }
        per = 1e6 / max(1, outcome.committed)
        table = {stage: round(seconds_used * per, 1) for stage, seconds_used in sorted(stages.items())}
        table["rest"] = round(max(0.0, used - sum(stages.values())) * per, 1)  # wire, API, event loop
        if name == "mix":
            self.summary["cpu_us_per_tx"] = table
            self.summary["cpu_us_per_tx_all"] = round(used * per, 1)
            self.summary["bytes_sent_per_tx"] = round(sum(map(len, raws)) / len(raws), 1)
        else:
            self.summary.setdefault("cpu_us_per_tx_by_stage", {})[name] = table
        blocks = self.network.height() - before_height
        self.summary.setdefault("tx_per_block", {})[name] = round(outcome.committed / max(1, blocks), 1)
        _report(name, outcome)
        return outcome

    async def run(self) -> dict[str, Any]:
        await self.prepare()
        for stage in self.options.stages:
            await getattr(self, f"stage_{stage}")()
        self.summary["signing_us_per_tx"] = round(self.sign_us, 1)
        if "tx_per_s" in self.summary:
            each_us = 1e6 / max(1.0, self.summary["tx_per_s"]) + self.sign_us
            self.summary["tx_per_s_signing_included"] = round(1e6 / each_us, 1)
        await self.channel.close()
        return self.summary

    async def stage_ceiling(self) -> None:
        sample = await self.sign(w.mix, 5_000, "ceiling")
        ceiling = await asyncio.to_thread(verify_ceiling, sample, seconds=self.options.ceiling_s)
        self.summary["verify_ceiling_tx_per_s"] = round(ceiling, 1)
        _line(f"{'verify-only ceiling':<24} {ceiling:>9,.0f} /s")

    async def stage_mix(self) -> None:
        options, summary = self.options, self.summary
        disk_before = self.network.disk_bytes()
        mix = await self.peak("mix", w.mix, options.guess, options.mix_s, options.batch)
        summary["tx_per_s"] = round(mix.rate(), 1)
        if "verify_ceiling_tx_per_s" in summary:
            summary["ceiling_share"] = round(summary["tx_per_s"] / summary["verify_ceiling_tx_per_s"], 3)
        summary["peak_latency_ms"] = {
            name: round(mix.percentile_ms(share), 1)
            for name, share in (("p50", 0.5), ("p99", 0.99), ("p99_9", 0.999))
        }
        written = self.network.disk_bytes() - disk_before
        summary["bytes_per_tx"] = round(written / max(1, mix.committed) / len(self.network.nodes), 1)

    async def stage_sales(self) -> None:
        outcome = await self.peak(
            "sales", w.sale, self.options.guess, self.options.stage_s, self.options.batch
        )
        self.summary["sales_per_s"] = round(outcome.rate(), 1)

    async def stage_sales_hot(self) -> None:
        options = self.options
        outcome = await self.peak("sales_hot", w.sale_hot, options.guess, options.stage_s, options.batch)
        self.summary["sales_hot_per_s"] = round(outcome.rate(), 1)

    async def stage_rows(self) -> None:
        options = self.options
        rows = await self.peak("rows", w.usage_thousand, options.guess_reports, options.stage_s, 10)
        self.summary["rows_per_s"] = round(rows.rate() * 1000)

    async def stage_idle(self) -> None:
        await asyncio.sleep(2)
        raws = await self.sign(w.payment, int(5 * self.options.idle_s), "idle")
        self._latency("idle", await open_loop(self.network.targets, raws, per_second=5))

    async def stage_half(self) -> None:
        rate, batch = self.summary.get("tx_per_s", self.options.guess) / 2, 10
        raws = await self.sign(w.mix, int(rate * self.options.stage_s) // batch * batch, "half")
        self._latency("half", await open_loop(self.network.targets, raws, per_second=rate, batch=batch))

    def _latency(self, name: str, run: Outcome) -> None:
        self.summary.setdefault("latency_ms", {})[name] = {
            "p50": round(run.percentile_ms(0.5), 1),
            "p99": round(run.percentile_ms(0.99), 1),
        }
        _report(name, run)

    async def stage_killed(self) -> None:
        """Load at 40 % of the peak on the three that stay; the fourth is killed after five seconds."""
        self.summary["rss_mib"] = round(self.network.rss_mib(), 1)
        peak = self.summary.get("tx_per_s", self.options.guess)
        rate, batch, seconds = peak * 0.4, 10, self.options.stage_s + 10
        raws = await self.sign(w.mix, int(rate * seconds) // batch * batch, "killed")
        started = asyncio.Event()
        load = asyncio.create_task(
            open_loop(self.network.targets[:3], raws, per_second=rate, batch=batch, on_start=started)
        )
        await started.wait()
        await asyncio.sleep(5)
        killed_at = time.monotonic()
        self.network.kill(3)
        outcome = await load
        gaps = outcome.gaps_s(after=killed_at)
        self.summary["gap_s_one_killed"] = round(gaps[0], 3)
        self.summary["gaps_s_one_killed_next"] = [round(gap, 3) for gap in gaps[1:4]]
        _report("killed", outcome)


def _line(text: str) -> None:
    print(text, flush=True)


def _report(name: str, outcome: Outcome) -> None:
    refused = f", refused {outcome.refused}" if outcome.refused else ""
    lost = f", lost {outcome.lost}" if outcome.lost else ""
    _line(
        f"{name:<24} {outcome.rate():>9,.0f} /s   p50 {outcome.percentile_ms(0.5):7.1f}"
        f"  p99 {outcome.percentile_ms(0.99):8.1f} ms   {outcome.committed:,} committed{refused}{lost}"
    )


def _arguments(argv: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("--mix-s", type=float, default=60.0, help="seconds of the sustained mix")
    parser.add_argument("--stage-s", type=float, default=20.0, help="seconds of each other stage")
    parser.add_argument("--idle-s", type=float, default=30.0, help="seconds of the idle latency stage")
    parser.add_argument("--ceiling-s", type=float, default=10.0, help="seconds of the verify-only ceiling")
    parser.add_argument("--guess", type=int, default=6_000, help="transactions signed per second of a stage")
    parser.add_argument("--guess-reports", type=int, default=1_500, help="reports signed per second")
    parser.add_argument("--batch", type=int, default=100, help="transactions per message")
    parser.add_argument("--in-flight", type=int, default=8, help="messages under way on each node")
    parser.add_argument("--nodes", type=int, default=4)
    parser.add_argument("--stages", type=lambda text: text.split(","), default=STAGES, help="comma-separated")
    parser.add_argument("--spy", help="a command run during each peak, with {pid} of the first node")
    return parser.parse_args(argv)


def main(argv: list[str]) -> int:
    options = _arguments(argv)
    shutil.rmtree(OUT, ignore_errors=True)
    begin = time.monotonic()
    network = Network(OUT / "network", nodes=options.nodes)
    try:
        summary = asyncio.run(Bench(network, options).run())
    finally:
        network.close()
    summary = {
        "nodes": options.nodes,
        **summary,
        "mix": "one third each: license purchase, payment, usage report of one row",
        "load": "signed beforehand, load generator on the same machine",
        "machine": machine(),
        "options": vars(options),
        "wall_s": round(time.monotonic() - begin, 1),
    }
    (OUT / "summary.json").write_text(json.dumps(summary, indent=2) + "\n")
    _line(json.dumps(summary, indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
