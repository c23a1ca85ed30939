"""The network under measurement: `python -m node devnet` as a user starts it, and what /proc knows of it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
START_LIMIT_S = 60.0


class Network:
    """Four node processes on loopback, with a real clock."""

    def __init__(self, folder: Path, *, nodes: int = 4) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.ready_file = folder / "ready.json"
        self.ready_file.unlink(missing_ok=True)
        self.log = (folder / "devnet.log").open("wb")
        command = [
            sys.executable,
            "-m",
            "node",
            "devnet",
            "--nodes",
            str(nodes),
            "--port",
            "0",
            "--data",
            str(folder / "data"),
            "--ready-file",
            str(self.ready_file),
        ]
        self.process = subprocess.Popen(
            command, cwd=ROOT, stdin=subprocess.PIPE, stdout=self.log, stderr=subprocess.STDOUT
        )
        self.facts = self._wait()

    def _wait(self) -> dict[str, Any]:
        deadline = time.monotonic() + START_LIMIT_S
        while time.monotonic() < deadline:
            if self.ready_file.exists():
                facts: dict[str, Any] = json.loads(self.ready_file.read_text())
                return facts
            if self.process.poll() is not None:
                raise RuntimeError(f"the development network ended: see {self.log.name}")
            time.sleep(0.02)
        raise RuntimeError(f"the development network was not ready in {START_LIMIT_S:.0f} s")

    @property
    def nodes(self) -> list[dict[str, Any]]:
        nodes: list[dict[str, Any]] = self.facts["nodes"]
        return nodes

    @property
    def targets(self) -> list[str]:
        return [node["api"] for node in self.nodes]

    def rss_mib(self) -> float:
        """Resident memory of the largest node."""
        return max(_status_kib(node["pid"], "VmRSS") for node in self.nodes if _alive(node["pid"])) / 1024

    def cpu_s(self) -> float:
        """CPU seconds used by all nodes so far, user and system."""
        return sum(_cpu_s(node["pid"]) for node in self.nodes if _alive(node["pid"]))

    def stages(self) -> dict[str, float]:
        """CPU seconds by stage, summed over nodes, from the nodes' own thread clocks."""
        totals: dict[str, float] = {}
        for node in self.nodes:
            for line in _metrics(node) if _alive(node["pid"]) else ():
                if line.startswith("licet_stage_cpu_seconds_total{"):
                    stage = line.split('stage="', 1)[1].split('"', 1)[0]
                    totals[stage] = totals.get(stage, 0.0) + float(line.rsplit(" ", 1)[1])
        return totals

    def height(self) -> int:
        """The last block that the first node executed."""
        (line,) = (line for line in _metrics(self.nodes[0]) if line.startswith("licet_executed_height "))
        return int(float(line.rsplit(" ", 1)[1]))

    def disk_bytes(self) -> int:
        """Bytes of all nodes' data folders, logs left out."""
        total = 0
        for node in self.nodes:
            for file in Path(node["data"]).rglob("*"):
                if file.is_file() and file.suffix not in (".txt", ".json") and file.name != "node.log":
                    total += file.stat().st_size
        return total

    def kill(self, number: int) -> None:
        """SIGKILL one node."""
        os.kill(self.nodes[number]["pid"], signal.SIGKILL)

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self.log.close()


def _metrics(node: dict[str, Any]) -> list[str]:
    with urllib.request.urlopen(f"http://{node['metrics']}/metrics", timeout=10) as reply:
        lines: list[str] = reply.read().decode().splitlines()
    return lines


def _alive(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


def _status_kib(pid: int, field: str) -> int:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(field + ":"):
            return int(line.split()[1])
    raise RuntimeError(f"/proc has no {field}")


def _cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
