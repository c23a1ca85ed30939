"""The settings of gRPC that every node process runs under are ones that the installed gRPC knows."""

from __future__ import annotations

import os
import subprocess
import sys

from node.__main__ import GRPC_ENVIRONMENT

SPEAK = """
import asyncio, grpc

async def main():
    server = grpc.aio.server()
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        await channel.channel_ready()
    await server.stop(grace=None)
    print("spoke")

asyncio.run(main())
"""


def test_the_installed_grpc_knows_them_and_speaks() -> None:
    # An experiment that a version of gRPC no longer knows is told on standard error, as an error.
    done = subprocess.run(
        [sys.executable, "-c", SPEAK],
        check=False,
        env={**os.environ, **GRPC_ENVIRONMENT},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "spoke\n", "")
