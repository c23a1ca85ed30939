"""Benchmarks: real node processes on loopback, a load generator of their own, one summary block.

Nothing here is a test that can fail for being slow: figures live in `make bench` alone.
"""
