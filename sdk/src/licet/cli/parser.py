"""The command line's shape: a table of commands, and nothing imported but argparse.

Each command names the function that runs it as "module:function"; it is imported when it runs.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from licet import __version__

Arg = tuple[tuple[str, ...], dict[str, Any]]


def arg(*names: str, **options: Any) -> Arg:
    """One argument as argparse takes it."""
    return names, options


@dataclass(frozen=True, slots=True, kw_only=True)
class Verb:
    """One command."""

    run: str
    help: str
    args: tuple[Arg, ...] = ()
    acts: bool = False  # True where it signs a transaction
    offline: bool = False  # True where it needs no node


_PAIR: Final = "NAME=VALUE"
_TERMS: Final = (
    arg("--template", required=True, help="name, name@version or program hash"),
    arg("--role", action="append", default=[], metavar=_PAIR, help="a role and its party"),
    arg("--param", action="append", default=[], metavar=_PAIR, help="a parameter and its value"),
    arg("--asset", action="append", default=[], metavar="SLOT=ASSET", help="a slot and its asset"),
)
_CHOICE: Final = arg(
    "--asset", action="append", default=[], metavar="SLOT=ASSET", help="the asset chosen for a slot"
)

# Files by whether they are read (all of them before any node is asked) or written.
_READ: Final[dict[str, Any]] = {"metavar": "FILE"}
_PIPED: Final[dict[str, Any]] = {"metavar": "FILE|-", "help": "- for standard input"}
_WRITTEN: Final[dict[str, Any]] = {"metavar": "NEW_FILE"}
_CO_KEY: Final = arg("--co-key", action="append", default=[], **_READ, help="of another party that signs")

COMMANDS: Final[dict[str, Verb | dict[str, Verb]]] = {
    "party": {
        "new-key": Verb(
            run="parties:new_key",
            help="make a key file (mode 0600)",
            args=(
                arg("file", **_WRITTEN),
                arg("--seal", action="store_true", help="seal it by a passphrase that is asked for"),
            ),
            offline=True,
        ),
        "register": Verb(
            run="parties:register",
            help="register a party with the key of --key",
            args=(
                arg("party"),
                arg("--name", required=True, help="display name"),
                arg("--kind", default="organisation", choices=("organisation", "person", "agent")),
            ),
            acts=True,
        ),
        "add-key": Verb(
            run="parties:add_key",
            help="add a key to the sender",
            args=(arg("public_key"), arg("--scope", action="append", required=True, help="may repeat")),
            acts=True,
        ),
        "revoke-key": Verb(
            run="parties:revoke_key", help="revoke a key of the sender", args=(arg("public_key"),), acts=True
        ),
        "show": Verb(run="parties:show", help="a party, its keys and balances", args=(arg("party"),)),
        "list": Verb(run="parties:list_all", help="every party"),
    },
    "asset": {
        "register": Verb(
            run="assets:register",
            help="register an asset",
            args=(
                arg("asset"),
                arg("--kind", required=True, help="image, video, style, ml_model, generated_image, …"),
                arg("--title", required=True),
                arg("--content", action="append", default=[], **_READ, help="hash this content"),
                arg("--external", action="append", default=[], metavar="SCHEME=ID"),
                arg("--evidence", default="", **_READ, help="hash this evidence"),
            ),
            acts=True,
        ),
        "link": Verb(
            run="assets:link",
            help="record that CHILD derives from PARENT",
            args=(
                arg("child"),
                arg("parent"),
                arg("--relation", required=True, help="derived, trained_on, style_of, …"),
                arg("--rate", required=True, metavar="PERCENT", help="share of a sale due to the parent"),
                _CO_KEY,
            ),
            acts=True,
        ),
        "claim": Verb(
            run="assets:claim",
            help="record who holds which share",
            args=(
                arg("asset"),
                arg("--holder", required=True),
                arg("--share", required=True, metavar="PERCENT"),
                arg("--right", default="any"),
                arg("--territory", default="WORLD"),
            ),
            acts=True,
        ),
        "show": Verb(run="assets:show", help="an asset with its lineage", args=(arg("asset"),)),
        "list": Verb(run="assets:list_all", help="assets", args=(arg("--registrant", default=""),)),
    },
    "terms": {
        "publish": Verb(
            run="terms:publish", help="publish a .terms file", args=(arg("file", **_PIPED),), acts=True
        ),
        "show": Verb(run="terms:show", help="the source of a template", args=(arg("template"),)),
        "list": Verb(run="terms:list_all", help="published templates", args=(arg("--name", default=""),)),
    },
    "offer": {
        "create": Verb(
            run="offers:create",
            help="publish a standing offer",
            args=(arg("offer"), *_TERMS, _CO_KEY),
            acts=True,
        ),
        "withdraw": Verb(run="offers:withdraw", help="withdraw one", args=(arg("offer"),), acts=True),
        "quote": Verb(
            run="offers:quote",
            help="what accepting it would cost",
            args=(arg("offer"), arg("--buyer", default="", help="the sender by default"), _CHOICE),
        ),
        "show": Verb(run="offers:show", help="one offer", args=(arg("offer"),)),
        "list": Verb(
            run="offers:list_all",
            help="standing offers",
            args=(arg("--party", default=""), arg("--on", default="", metavar="ASSET")),
        ),
    },
    "license": {
        "buy": Verb(
            run="licenses:buy",
            help="accept a standing offer",
            args=(
                arg("offer"),
                arg("--agreement", default=None, help="your id for it"),
                _CHOICE,
                arg("--proof", default="", **_WRITTEN, help="wait for the proof file and save it"),
            ),
            acts=True,
        ),
        "proof": Verb(
            run="licenses:proof",
            help="save the proof file of a license",
            args=(arg("agreement"), arg("file", **_WRITTEN)),
        ),
        "show": Verb(run="licenses:show", help="one agreement and its rights", args=(arg("agreement"),)),
        "list": Verb(
            run="licenses:list_all",
            help="agreements",
            args=(arg("--party", default=""), arg("--on", default="", metavar="ASSET")),
        ),
    },
    "usage": {
        "report": Verb(
            run="usages:report",
            help="report a CSV (agreement, at, quantity); bad rows are named by line",
            args=(
                arg("file", **_PIPED),
                arg("--fact", required=True),
                arg(
                    "--period",
                    required=True,
                    metavar="2026-01",
                    help="month, quarter (2026-q1), year, week (2026-w02) or day",
                ),
                arg("--report", default=None, help="your id for it"),
            ),
            acts=True,
        ),
        "list": Verb(
            run="usages:list_all",
            help="accepted reports",
            args=(arg("--reporter", default=""), arg("--on", default="", metavar="AGREEMENT")),
        ),
    },
    "period": {
        "close": Verb(
            run="usages:close",
            help="close a period that is due",
            args=(
                arg("agreement"),
                arg("period", help="its name in the terms, such as month"),
                arg("start", metavar="2026-01"),
            ),
            acts=True,
        ),
        "simulate": Verb(
            run="usages:simulate",
            help="what would be owed under given facts",
            args=(
                arg("agreement"),
                arg("period"),
                arg("--given", action="append", required=True, metavar="FACT=N"),
            ),
        ),
    },
    "money": {
        "deposit": Verb(
            run="monies:deposit",
            help="credit a party (issuers)",
            args=(arg("party"), arg("amount", help='such as "EUR 250.00"'), arg("--reference", default="")),
            acts=True,
        ),
        "withdraw": Verb(
            run="monies:withdraw",
            help="debit a party that was paid out (issuers; the party signs too)",
            args=(
                arg("party"),
                arg("amount"),
                _CO_KEY,
                arg("--reference", default=""),
            ),
            acts=True,
        ),
        "transfer": Verb(
            run="monies:transfer",
            help="move cash to a party",
            args=(arg("party"), arg("amount"), arg("--issuer", default=""), arg("--reference", default="")),
            acts=True,
        ),
        "owed": Verb(
            run="monies:owed",
            help="obligations of a party",
            args=(arg("--party", default=""), arg("--on", default="", metavar="AGREEMENT")),
        ),
    },
    "pay": Verb(
        run="monies:pay",
        help="pay what is owed under an agreement",
        args=(arg("agreement"), arg("amount", nargs="?", default="", help="all that is owed by default")),
        acts=True,
    ),
    "statement": Verb(
        run="reading:statement",
        help="what a party earned, was paid and is owed, by clause",
        args=(
            arg("party", nargs="?", default=""),
            arg("--from", dest="from_", default="", metavar="TIME"),
            arg("--until", default="", metavar="TIME"),
            arg("--agreement", default=""),
        ),
    ),
    "authorize": Verb(
        run="reading:authorize",
        help="may PARTY use ASSET for ACTION? exit code 1 for no",
        args=(
            arg("party"),
            arg("asset"),
            arg("action"),
            arg("--territory", action="append", default=[]),
            arg("--medium", action="append", default=[]),
            arg("--from", dest="from_", default="", metavar="TIME"),
            arg("--until", default="", metavar="TIME"),
        ),
    ),
    "receipt": Verb(
        run="reading:receipt",
        help="what a transaction did, and its proof file",
        args=(
            arg("transaction_hash", metavar="HASH"),
            arg("--proof", default="", **_WRITTEN, help="wait for the proof file and save it"),
        ),
    ),
    "verify": Verb(
        run="verifying:verify",
        help="check a proof file offline against genesis",
        args=(arg("file", **_PIPED),),
        offline=True,
    ),
    "watch": Verb(
        run="reading:watch",
        help="follow events",
        args=(
            arg("--after", default="", metavar="CURSOR"),
            arg("--kind", action="append", default=[]),
            arg("--party", default=""),
            arg("--until-now", action="store_true", help="end at the newest event"),
        ),
    ),
    "status": Verb(run="reading:status", help="the network in a sentence"),
    "explain": Verb(
        run="explaining:explain", help="what an error code means", args=(arg("code"),), offline=True
    ),
    "completion": Verb(
        run="completing:completion",
        help="print a completion script: source <(licet completion bash)",
        args=(arg("shell", choices=("bash", "zsh")),),
        offline=True,
    ),
    "doctor": Verb(run="explaining:doctor", help="check this machine, the settings and the network"),
}


def _common(verb: Verb) -> list[Arg]:
    args = [
        arg("-o", "--output", choices=("table", "json", "id"), default="table"),
        arg("--genesis", default=None, **_READ, help="the network's genesis.json, trusted"),
        arg("--profile", default=None, metavar="NAME", help="of the settings file; `default` by default"),
    ]
    if not verb.offline:
        args += [
            arg("--target", default=None, metavar="HOST:PORT", help="one node, or several with commas"),
            arg("--sender", default=None, metavar="PARTY", help="who acts, or whom a question is about"),
            arg("--expect-chain", default=None, metavar="ID", help="refuse any other network"),
            arg("--wait", default=None, metavar="SECONDS", help="for a node that does not answer"),
        ]
    if verb.acts:
        args += [
            arg("--key", default=None, **_READ, help="the sender's, as `licet party new-key` makes it"),
            arg(
                "--id",
                dest="tx_id",
                default=None,
                metavar="HEX",
                help="16 bytes; a repeat gives the first result",
            ),
            arg("--validate-only", action="store_true", help="learn the outcome, submit nothing"),
        ]
    return args


def options_of(verb: Verb) -> list[str]:
    """The long options of a command, for completion."""
    return [name for names, _ in (*verb.args, *_common(verb)) for name in names if name.startswith("--")]


def _fill(parser: argparse.ArgumentParser, verb: Verb) -> None:
    for names, options in (*verb.args, *_common(verb)):
        parser.add_argument(*names, **options)
    parser.set_defaults(run=verb.run)


def build_parser() -> argparse.ArgumentParser:
    """The whole command line."""
    parser = argparse.ArgumentParser(
        prog="licet",
        description="License creative and AI work on a Licet network.",
        epilog="Exit codes: 0 done, 1 refused, 2 misuse, 3 outcome unknown, 4 no node answers.",
    )
    parser.add_argument("--version", action="version", version=f"licet {__version__}")
    groups = parser.add_subparsers(required=True, metavar="COMMAND")
    add: Callable[..., argparse.ArgumentParser]
    for name, entry in COMMANDS.items():
        add = groups.add_parser
        if isinstance(entry, Verb):
            _fill(add(name, help=entry.help, description=entry.help), entry)
            continue
        inner = add(name, help=", ".join(entry)).add_subparsers(required=True, metavar="COMMAND")
        for verb_name, verb in entry.items():
            _fill(inner.add_parser(verb_name, help=verb.help, description=verb.help), verb)
    return parser
