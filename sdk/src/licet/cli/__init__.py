"""`licet`: the whole main job on the command line.

Exit codes: 0 done · 1 refused, or a check failed · 2 misuse or a wrong setting · 3 the outcome of a
transaction is unknown · 4 no node answers · 130 interrupted. A file that cannot be read is 2 in every
command; one that was read and holds what is not right is 1.

Results go to standard output; hints, errors and questions to standard error. Nothing is coloured.
Modules load when a command needs them, so that `licet --help` and completion stay instant.
"""

from __future__ import annotations

import errno
import os
import sys
from typing import Final

DONE: Final = 0
REFUSED: Final = 1
MISUSE: Final = 2
UNKNOWN: Final = 3
UNAVAILABLE: Final = 4
INTERRUPTED: Final = 130

# Codes for what was typed and is not what it should be; nothing was asked or sent.
_TYPED: Final = frozenset({"PERIOD_INVALID", "AMOUNT_INVALID"})
_WHOSE: Final = {
    "sender": "yours to put right",
    "peer": "another node's fault",
    "machine": "the machine's or the network's fault",
    "operator": "an argument's or a setting's fault",
    "us": "our fault, please report it",
}


def main(argv: list[str] | None = None) -> int:
    """Parse, run, and turn every expected error into one sentence and an exit code."""
    from licet.cli.parser import build_parser

    parser = build_parser()
    if not (sys.argv[1:] if argv is None else argv):
        parser.print_help(sys.stderr)
        return MISUSE
    args = parser.parse_args(argv)
    try:
        code = _run(args)
        if sys.stdout is not None:
            sys.stdout.flush()  # here, where a reader that has gone is still caught
        return code
    except KeyboardInterrupt:
        print("licet: interrupted.", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:
        # Whoever read our output has gone (`licet watch | head`); nothing is left to say. What is still in
        # the buffer must go nowhere, or the interpreter complains of it when it ends.
        _silence()
        return DONE
    except OSError as why:
        if why.errno not in (errno.ENOSPC, errno.EIO, errno.EDQUOT, errno.EFBIG):
            raise
        _silence()
        print(f"licet: the output cannot be written: {why.strerror}.", file=sys.stderr)
        return MISUSE


def _silence() -> None:
    """Let what is still in the buffer of the output go nowhere."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _run(args: object) -> int:
    from importlib import import_module

    from licet.errors import Fault, LicetError

    module, _, function = args.run.rpartition(":")  # type: ignore[attr-defined]
    try:
        from licet.cli.session import Session

        session = Session(args)
        try:
            code: int = getattr(import_module(f"licet.cli.{module}"), function)(session, args)
            return code
        finally:
            session.close()
    except LicetError as error:
        print(f"licet: {error.message}", file=sys.stderr)
        if error.remedy:
            print(f"       {error.remedy}", file=sys.stderr)
        print(f"       ({error.code}, {_WHOSE[error.fault]}: `licet explain {error.code}`)", file=sys.stderr)
        # Only a client that connected can have met these two; importing them loads gRPC.
        outcomes = sys.modules.get("licet.outcomes")
        if outcomes is not None and isinstance(error, outcomes.OutcomeUnknown):
            return UNKNOWN
        if outcomes is not None and isinstance(error, outcomes.Unavailable):
            return UNAVAILABLE
        return MISUSE if error.fault is Fault.OPERATOR or error.code in _TYPED else REFUSED
