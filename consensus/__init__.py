"""The consensus room: orders opaque payload digests by Simplex, and does nothing else.

Pure: events in, effects out. No clock, no randomness, no IO, no protobuf, no
knowledge of transactions. `consensus/SPEC.md` numbers the rules and says where
each one stands; `consensus.ports.Ordering` is the door.
"""
