"""Authenticated state, the log, and what the node keeps on disk.

The doors of this folder: `port` (the storage port and its records), `leveldb`
and `memory` (its two implementations), `state` (values with their proofs),
`log` (the Merkle log), `wal` (the files `payload` and `votes`), `folder`
(the data folder and its lock). Nothing here imports asyncio or the network.
"""
