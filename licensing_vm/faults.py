"""Errors that nobody foresaw: which are the transaction's, and which stop the machine.

A transaction may reach a bug of ours. If the bug shows itself alike on every machine, the transaction is
rolled back and refused (`EXECUTION_FAULT`): a wrong line of code costs one transaction, never the chain.
What may come on one machine and not on another has to stop the machine instead, because machines that
answered differently would part: the stack or memory ran out, the disk failed, a module is not installed,
warnings are errors. An assertion stops it too: assertions guard money and what is stored, and money has
rather to stop than to be wrong.

`verdict` decides and does nothing else. Never looks at an error's text.
"""

from __future__ import annotations

from types import TracebackType
from typing import Final, NamedTuple

from licet.errors import Fault, LicetError
from licet.types import Hash32

from licensing_vm.errors import BLOCK_FULL, REASONS, Refused

# Whether these come depends on the machine and on who calls, or they guard money.
STOPPING: Final = (
    AssertionError,
    RecursionError,
    MemoryError,
    OSError,
    ImportError,
    SystemError,
    Warning,
)
_FRAMES_SHOWN: Final = 8


class FaultSeen(NamedTuple):
    """What a node may log of a contained fault. It is no part of any receipt: texts differ by version."""

    hash: Hash32
    command: str
    what: str
    where: str


def verdict(why: Exception, command: str) -> LicetError | None:
    """The refusal that an error leads to; None if it has to stop the machine."""
    if isinstance(why, LicetError):
        if why.code in REASONS and (why.fault is Fault.SENDER or why.code == BLOCK_FULL):
            return why
        if why.fault not in (Fault.SENDER, Fault.US):
            return None
    elif isinstance(why, STOPPING):
        return None
    return Refused(
        "EXECUTION_FAULT",
        "The ledger's own program failed at this transaction; nothing of it was done.",
        {"command": command},
    )


def seen(why: Exception, hash_: Hash32, command: str) -> FaultSeen:
    """The innermost frames of an error, for the log."""
    frames: list[str] = []
    trace: TracebackType | None = why.__traceback__
    while trace is not None:
        code = trace.tb_frame.f_code
        frames.append(f"{code.co_name}:{trace.tb_lineno}")
        trace = trace.tb_next
    return FaultSeen(hash_, command, type(why).__name__, " ".join(frames[-_FRAMES_SHOWN:]))
