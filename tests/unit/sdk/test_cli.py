"""The command line without a network: settings, exit codes, offline commands, what it loads."""

from __future__ import annotations

import ast
import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest
from licet import cli
from licet.cli.arguments import ArgumentInvalid, percent, time_ms
from licet.cli.parser import COMMANDS, Verb, build_parser
from licet.cli.profile import ConfigError, read_settings, stray_variables
from licet.cli.usages import period_of_fact
from licet.errors import LicetError
from licet.glossary import GLOSSARY

from tests.unit.sdk import test_proof

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(autouse=True)
def clean(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in list(os.environ):
        if name.startswith("LICET_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("LICET_CONFIG", str(tmp_path / "config.toml"))


def run(*args: str) -> int:
    return cli.main(list(args))


# --- settings


def config(tmp_path: Path, text: str) -> dict[str, str]:
    path = tmp_path / "config.toml"
    path.write_text(text)
    return {"LICET_CONFIG": str(path)}


def test_flags_stand_before_environment_before_profile(tmp_path: Path) -> None:
    environ = config(tmp_path, '[profile.default]\ntarget = "p:1"\nsender = "p"\nkey = "k/p.key"\n')
    environ |= {"LICET_SENDER": "e", "LICET_TARGET": "e:1"}
    found = read_settings({"target": "f:1", "sender": None}, environ)
    assert (found.target, found.sender, found.key) == ("f:1", "e", str(tmp_path / "k" / "p.key"))


def test_without_a_file_everything_is_empty(tmp_path: Path) -> None:
    found = read_settings({}, {"LICET_CONFIG": str(tmp_path / "none.toml")})
    assert (found.target, found.source) == ("", "")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('[profile.default]\ntaget = "x"', "Did you mean 'target'"),
        ("[profile.default]\ntarget = 7", "to no text"),
        ("[profil.default]\n", "unknown table 'profil'"),
        ("profile = 3", "no [profile.NAME] tables"),
        ("[profile", "cannot be read"),
        ('[profile.default]\nexpect_chain = "12"', "no chain id"),
    ],
)
def test_a_typo_in_the_profile_is_named(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(ConfigError) as refused:
        read_settings({}, config(tmp_path, text))
    assert said in str(refused.value)


def test_a_profile_that_was_asked_for_must_exist(tmp_path: Path) -> None:
    environ = config(tmp_path, "[profile.production]\n")
    with pytest.raises(ConfigError, match="Did you mean 'production'"):
        read_settings({"profile": "producton"}, environ)
    with pytest.raises(ConfigError, match="does not exist"):
        read_settings({"profile": "x"}, {"LICET_CONFIG": str(tmp_path / "none.toml")})


def test_a_stray_variable_is_named() -> None:
    assert stray_variables({"LICET_TARGT": "x", "LICET_KEY": "k", "HOME": "/"}) == [
        "LICET_TARGT: Did you mean 'LICET_TARGET'?"
    ]


# --- arguments


@pytest.mark.parametrize(
    ("text", "of", "share"),
    [("20%", 10**9, 200_000_000), ("12.5 %", 10**9, 125_000_000), ("100", 10**6, 10**6)],
)
def test_percentages_are_exact(text: str, of: int, share: int) -> None:
    assert percent(text, of=of) == share


@pytest.mark.parametrize("text", ["", "101%", "0", "-5%", "0.00001%", "1/2", "1e1"])
def test_other_percentages_are_refused(text: str) -> None:
    with pytest.raises(ArgumentInvalid):
        percent(text, of=10**6)


def test_times_are_dates_or_instants() -> None:
    assert time_ms("2026-01-01") == time_ms("2026-01-01T00:00:00Z") == 1_767_225_600_000
    assert time_ms("") == 0
    with pytest.raises(ArgumentInvalid):
        time_ms("tomorrow")


def verbs() -> list[Verb]:
    return [
        verb
        for entry in COMMANDS.values()
        for verb in ([entry] if isinstance(entry, Verb) else entry.values())
    ]


def test_every_command_names_a_function_that_exists() -> None:
    from importlib import import_module

    for verb in verbs():
        module, function = verb.run.split(":")
        assert callable(getattr(import_module(f"licet.cli.{module}"), function)), verb.run


def test_the_main_job_has_its_commands() -> None:
    for name in ("party", "asset", "terms", "license", "usage", "statement", "verify", "watch", "status"):
        assert name in COMMANDS
    for verb in verbs():
        assert verb.help


def test_every_command_takes_json(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as done:
        build_parser().parse_args(["status", "-o", "yaml"])
    assert done.value.code == cli.MISUSE
    assert "invalid choice" in capsys.readouterr().err


def test_misuse_is_two_and_a_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("status") == cli.MISUSE
    assert "No node is named. " in capsys.readouterr().err.replace("\n", " ")
    assert run("status", "--target", "nonsense") == cli.MISUSE
    assert "is no address of a node" in capsys.readouterr().err
    assert run("pay", "a-1", "EUR 1", "--target", "nonsense") == cli.MISUSE
    assert "No party is named." in capsys.readouterr().err
    assert run("status", "--target", "nonsense") == cli.MISUSE
    assert "is no address of a node" in capsys.readouterr().err


def test_no_node_is_four_and_says_what_to_do(capsys: pytest.CaptureFixture[str]) -> None:
    begin = time.monotonic()
    assert run("status", "--target", "127.0.0.1:1") == cli.UNAVAILABLE
    assert time.monotonic() - begin < 8, "a refusal takes 1.5 s, not the 30 s of a node that restarts"
    said = capsys.readouterr().err
    assert "No node answers at 127.0.0.1:1: nothing listens there, the connection is refused." in said
    assert "Start a node there (`python -m node devnet`" in said
    assert "(UNAVAILABLE, the machine's or the network's fault: `licet explain UNAVAILABLE`)" in said


def test_how_long_to_wait_is_a_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    from licet.cli.session import _options

    plain, patient = _options(""), _options("45")
    assert (plain.connect.refused_s, plain.connect.deadline_s, plain.retry.deadline_s) == (1.5, 10.0, 30.0)
    assert patient.connect == patient.retry
    assert (patient.connect.deadline_s, patient.connect.refused_s) == (45.0, None)
    assert _options("0.5").connect.attempt_s == 0.5
    assert read_settings({}, {"LICET_CONFIG": "/none", "LICET_WAIT": "7"}).wait == "7"
    assert read_settings({"wait": "8"}, {"LICET_CONFIG": "/none", "LICET_WAIT": "7"}).wait == "8"
    for wrong in ("0", "-1", "soon", "1e9", "99999", "٣"):
        with pytest.raises(ConfigError, match="no number of seconds"):
            read_settings({"wait": wrong}, {"LICET_CONFIG": "/none"})
    assert stray_variables({"LICET_WAIT": "7"}) == []


# --- offline commands


def files(tmp_path: Path, data: bytes) -> tuple[str, str]:
    proof, genesis = tmp_path / "c.licet", tmp_path / "genesis.json"
    proof.write_bytes(data)
    genesis.write_text(test_proof.GENESIS.to_json())
    return str(proof), str(genesis)


def test_verify_ends_with_zero_and_says_what_holds(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    proof, genesis = files(tmp_path, test_proof.state_file())
    assert run("verify", proof, "--genesis", genesis) == cli.DONE
    printed = capsys.readouterr()
    assert printed.out.startswith("Valid: agreement/a-1 stood on the ledger after height 8 of paper;")
    assert printed.err.startswith("next: licet license show a-1")
    assert run("verify", proof, "--genesis", genesis, "-o", "json") == cli.DONE
    printed = capsys.readouterr()
    assert json.loads(printed.out)["signers"] == ["n1", "n3", "n4"]
    assert printed.err == ""
    assert run("verify", proof, "--genesis", genesis, "-o", "id") == cli.DONE
    assert capsys.readouterr().out == "agreement/a-1\n"


def test_verify_ends_with_one_and_the_reason(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    forged = test_proof.state_file().replace(b"some record", b"same record")
    proof, genesis = files(tmp_path, forged)
    assert run("verify", proof, "--genesis", genesis) == cli.REFUSED
    said = capsys.readouterr()
    assert "the path does not lead to the state root" in said.err
    assert "licet explain INVALID_PROOF" in said.err
    assert said.out == ""


def test_verify_needs_genesis_and_files_that_exist(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    proof, genesis = files(tmp_path, test_proof.state_file())
    assert run("verify", proof) == cli.MISUSE
    assert run("verify", str(tmp_path / "none"), "--genesis", genesis) == cli.MISUSE
    assert run("verify", proof, "--genesis", str(tmp_path / "none")) == cli.MISUSE
    broken = tmp_path / "broken.json"
    broken.write_text(test_proof.GENESIS.to_json().replace("paper", "papel"))
    assert run("verify", proof, "--genesis", str(broken)) == cli.MISUSE
    assert "does not hash to the chain id" in capsys.readouterr().err


def test_a_key_is_made_and_never_overwritten(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = str(tmp_path / "acme.key")
    assert run("party", "new-key", path) == cli.DONE
    assert "next: licet party register" in capsys.readouterr().err
    assert run("party", "new-key", path) == cli.MISUSE
    assert "exists already" in capsys.readouterr().err


def test_a_sealed_key_asks_the_environment_where_there_is_no_terminal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from licet.cli.session import Session
    from licet.keys import is_sealed

    monkeypatch.setenv("LICET_PASSPHRASE", "open sesame")
    path = str(tmp_path / "acme.key")
    assert run("party", "new-key", path, "--seal") == cli.DONE
    assert is_sealed(path)
    args = build_parser().parse_args(["pay", "a-1", "EUR 1", "--key", path])
    assert Session(args).signing_key().public_key
    monkeypatch.delenv("LICET_PASSPHRASE")
    monkeypatch.setattr("sys.stdin", open(os.devnull))  # noqa: SIM115
    with pytest.raises(ConfigError, match="sealed by a passphrase"):
        Session(args).signing_key()
    sys.stdin.close()


def test_explain_knows_and_suggests(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("explain", "tx-expired") == cli.DONE
    assert "valid_until" in capsys.readouterr().out
    assert run("explain", "TX_EXPIRD") == cli.MISUSE
    assert "Did you mean TX_EXPIRED" in capsys.readouterr().err


def test_doctor_finds_an_exposed_key_and_a_stray_variable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "acme.key"
    run("party", "new-key", str(path))
    path.chmod(0o644)
    monkeypatch.setenv("LICET_KEY", str(path))
    monkeypatch.setenv("LICET_TARGT", "x")
    capsys.readouterr()
    assert run("doctor") == cli.REFUSED
    printed = capsys.readouterr().out
    assert "✗ The key file" in printed
    assert "chmod 600" in printed
    assert "LICET_TARGT: Did you mean" in printed
    assert "✗ no node is named" in printed
    assert re.search(r"✓ grpcio \d", printed)


@pytest.mark.parametrize("command", [["--help"], ["explain", "TX_EXPIRED"], ["party", "--help"]])
def test_help_and_offline_commands_load_no_network(command: list[str]) -> None:
    """What makes `licet` start in well under a tenth of a second."""
    program = (
        "import sys; from licet import cli\n"
        "try: cli.main(sys.argv[1:])\n"
        "except SystemExit: pass\n"
        "bad = {'grpc', 'google.protobuf', 'asyncio', 'nacl', 'licet.client'} & set(sys.modules)\n"
        "assert not bad, bad"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, *command], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr


def test_verify_loads_neither_grpc_nor_protobuf(tmp_path: Path) -> None:
    proof, genesis = files(tmp_path, test_proof.state_file())
    program = (
        "import sys; from licet import cli\n"
        "assert cli.main(sys.argv[1:]) == 0\n"
        "bad = {'grpc', 'google.protobuf', 'asyncio', 'socket'} & set(sys.modules)\n"
        "assert not bad, bad"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, "verify", proof, "--genesis", genesis],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("shell", ["bash", "zsh"])
def test_completion_offers_commands_verbs_and_options(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("completion", shell) == cli.DONE
    script = capsys.readouterr().out
    if shell == "zsh":
        assert script.startswith("autoload")
        return

    def offered(*words: str) -> set[str]:
        line = " ".join(f"'{word}'" for word in ("licet", *words))
        ask = f"COMP_WORDS=({line}); COMP_CWORD={len(words)}; _licet; echo ${{COMPREPLY[@]}}"
        done = subprocess.run(
            ["bash", "-c", f"{script}\n{ask}"], capture_output=True, text=True, timeout=30, check=False
        )
        assert done.returncode == 0, done.stderr
        return set(done.stdout.split())

    assert offered("st") == {"statement", "status"}
    assert offered("license", "") == {"buy", "proof", "show", "list"}
    assert "--expect-chain" in offered("license", "buy", "--")
    assert offered("verify", "--g") == {"--genesis"}


# --- habits of a good command


def test_nothing_typed_shows_what_may_be(capsys: pytest.CaptureFixture[str]) -> None:
    assert run() == cli.MISUSE
    printed = capsys.readouterr()
    assert "the network in a sentence" in printed.err
    assert printed.out == ""


def test_a_reader_that_goes_away_is_no_error(tmp_path: Path) -> None:
    """`licet … | head -1`: neither a traceback nor a complaint when the interpreter ends."""
    program = "import sys; from licet import cli; sys.exit(cli.main(sys.argv[1:]))"
    child = subprocess.Popen(
        [sys.executable, "-c", program, "completion", "bash"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "LICET_CONFIG": str(tmp_path / "none.toml")},
    )
    assert child.stdout is not None
    assert child.stderr is not None
    child.stdout.close()
    with child.stderr:
        said = child.stderr.read()
    assert (child.wait(60), said) == (cli.DONE, b"")


def test_an_interrupt_is_a_word_and_130(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("licet.sync_client.SyncClient.connect", interrupted)
    assert run("watch", "--target", "127.0.0.1:1") == cli.INTERRUPTED
    assert capsys.readouterr().err == "licet: interrupted.\n"


@pytest.mark.parametrize(
    ("name", "fact", "period"),
    [
        ("ads.per_use", "impressions", "month"),
        ("ads.per_use", "unheard_of", "month"),
        ("stock.image_flat", "x", ""),
    ],
)
def test_the_period_of_a_fact_is_read_from_the_terms(name: str, fact: str, period: str) -> None:
    source = (ROOT / "examples" / "terms" / f"{name}.terms").read_text(encoding="utf-8")
    assert period_of_fact(source, fact) == period


def test_each_fact_has_its_own_period() -> None:
    source = """template t version 1.0.0 "; plays: count per day;" {  # facts { plays: count per year; }
      period week weekly close after 1 day; period q quarterly close after 1 month;
      facts { sales: money from seller per q; plays: count<play> in 0 .. 5 from radio per week else hold; }
    }"""
    assert (period_of_fact(source, "plays"), period_of_fact(source, "sales")) == ("week", "q")
    assert period_of_fact(source, "other") == "", "two periods, and nothing says which"


# --- the glossary


def raised_codes() -> dict[str, str]:
    """Every error code that the source names, with the file that does."""
    found: dict[str, str] = {}
    code = re.compile(r"[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+|UNAVAILABLE|FORKED")
    for room in ("sdk/src/licet", "node", "licensing_vm", "consensus"):
        for path in sorted((ROOT / room).rglob("*.py")):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if not isinstance(node, ast.Call) or not node.args:
                    continue
                name = getattr(node.func, "attr", getattr(node.func, "id", ""))
                first = node.args[0]
                if name in ("get", "getenv", "setdefault") or not isinstance(first, ast.Constant):
                    continue
                if isinstance(first.value, str) and code.fullmatch(first.value):
                    found[first.value] = str(path.relative_to(ROOT))
    return found


def test_every_code_that_is_raised_is_explained() -> None:
    missing = {code: where for code, where in raised_codes().items() if code not in GLOSSARY}
    assert not missing, missing


def test_every_refusal_of_the_ledger_is_explained() -> None:
    from licensing_vm.errors import REASONS

    assert not set(REASONS) - set(GLOSSARY)


def test_the_glossary_says_something_of_each() -> None:
    for code, (meaning, remedy) in GLOSSARY.items():
        assert meaning.endswith("."), code
        assert remedy, code


def test_errors_are_sentences_with_a_code(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("usage", "report", "x.csv", "--fact", "f", "--period", "2026-13", "--key", "k") == cli.MISUSE
    said = capsys.readouterr().err
    assert "is no period" in said
    assert "licet explain PERIOD_INVALID" in said


def test_a_key_that_cannot_be_read_is_told_before_any_node_is_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from licet.cli.session import Session
    from licet.sync_client import SyncClient

    def never(*_: object, **__: object) -> SyncClient:
        raise AssertionError("a node was asked")

    monkeypatch.setattr(SyncClient, "connect", never)
    missing = str(tmp_path / "nobody.key")
    flags = ["--target", "127.0.0.1:1", "--sender", "acme", "--key", missing]
    args = build_parser().parse_args(["pay", "a-1", "EUR 1", *flags])
    with pytest.raises(LicetError, match=r"nobody\.key"):
        _ = Session(args).acting
