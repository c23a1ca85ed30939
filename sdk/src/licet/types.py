"""Names for the integers and bytes that cross a room's door.

`NewType`s cost nothing at run time and keep a height from being taken for a
view. The frozen records of the domain stand in `licet.transactions`, those of
consensus in `licet.certificate`.
"""

from __future__ import annotations

from typing import Final, NewType

Hash32 = NewType("Hash32", bytes)  # a SHA-256 digest, 32 bytes
ChainId = NewType("ChainId", bytes)  # the hash of genesis, 32 bytes
PublicKey = NewType("PublicKey", bytes)  # Ed25519, 32 bytes
Signature = NewType("Signature", bytes)  # Ed25519, 64 bytes
Height = NewType("Height", int)  # block height; genesis is 0
View = NewType("View", int)  # consensus view; genesis is 0, the first is 1
Epoch = NewType("Epoch", int)  # validator-set epoch; the first is 0
ValidatorIndex = NewType("ValidatorIndex", int)  # position in genesis' validator list
TimestampMs = NewType("TimestampMs", int)  # block time, milliseconds since 1970-01-01T00:00Z

ZERO_HASH: Final = Hash32(bytes(32))
HASH_BYTES: Final = 32
PUBLIC_KEY_BYTES: Final = 32
SIGNATURE_BYTES: Final = 64
