"""The SDK and the command line against real nodes: the main job, retries, proofs, a killed node."""

from __future__ import annotations

import asyncio
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from licet import cli, testing
from licet.client_commands import Submission
from licet.errors import InvalidProof, LicetError
from licet.keys import generate_key, save_key
from licet.outcomes import Conflict, RefusedInBlock
from licet.proof import verify_proof
from licet.sync_client import SyncClient
from licet.testing import Network, NetworkFailed
from licet.transactions import AcceptOffer, Money, Transfer
from licet.usage import UsageRow, format_time_ms, period_bounds_ms

ROOT = Path(__file__).resolve().parents[3]
TERMS = ROOT / "examples" / "terms"
cluster = pytest.mark.cluster
EURO = Money(currency="EUR", minor=1_000_000)


def test_without_a_folder_it_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("LICET_NODE_ROOT", raising=False)
    with pytest.raises(NetworkFailed, match="No folder is named"):
        Network()
    with pytest.raises(NetworkFailed, match="holds no node"):
        Network(node_root=tmp_path)


def test_an_interpreter_that_is_none_or_lacks_a_package_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(NetworkFailed, match="cannot be run: No such file") as missing:
        Network(node_root=ROOT, python=tmp_path / "python")
    assert missing.value.code == "PYTHON_MISSING"
    bare = tmp_path / "bare"
    bare.write_text(f'#!/bin/sh\nexec {sys.executable} -E -S "$@"\n')
    bare.chmod(0o700)
    clone = tmp_path / "clone"
    (clone / "node").mkdir(parents=True)
    (clone / "node" / "__init__.py").touch()
    (clone / "node" / "__main__.py").write_text("import grpc_health\n")
    with pytest.raises(NetworkFailed, match="has no package") as lacking:
        Network(node_root=clone, python=bare)
    assert "Traceback" not in str(lacking.value)
    assert "make setup-runtime" in lacking.value.remedy


def test_the_clone_s_own_environment_runs_its_nodes(tmp_path: Path) -> None:
    own = tmp_path / ".venv" / "bin" / "python"
    assert testing._interpreter(tmp_path, None) == sys.executable
    own.parent.mkdir(parents=True)
    own.touch()
    assert testing._interpreter(tmp_path, None) == str(own)
    assert testing._interpreter(tmp_path, "python3") == "python3"


@pytest.fixture(scope="module")
def network() -> Iterator[Network]:
    with Network(node_root=ROOT) as running:
        yield running


@pytest.fixture(scope="module")
def studio(network: Network) -> Iterator[SyncClient]:
    """The studio's client, with the terms published and a photo and an image to sell."""
    with network.client("studio") as client:
        for name in ("stock.image_flat", "ads.per_use", "ai.style_sale"):
            client.publish_template((TERMS / f"{name}.terms").read_text(encoding="utf-8"))
        client.register_asset("photo-1", kind="photo", title="A photo")
        client.register_asset("image-1", kind="generated_image", title="An image")
        client.register_asset("banner-1", kind="composite", title="A banner")
        client.link_lineage("image-1", "photo-1", relation="derived", rate_e9=200_000_000)
        client.create_offer(
            "image",
            template="ai.style_sale",
            roles={"owner": "studio"},
            params={"fee": "EUR 100.0000"},
            assets={"work": "image-1"},
        )
        client.create_offer(
            "banner",
            template="ads.per_use@1.0.0",
            roles={"studio": "studio", "artist": "contributor1"},
            assets={"creative": "banner-1"},
        )
        yield client


@cluster
def test_a_sale_pays_its_lineage_and_proves_itself(network: Network, studio: SyncClient) -> None:
    buyer = studio.acting("advertiser", network.key("advertiser"))
    quote = studio.quote("image", buyer="advertiser")
    sale = buyer.license("image")
    assert quote.total.minor == 100_000_000
    assert [entry.sums() for entry in sale.entries] == [{"EUR": 0}]
    upstream = [p for p in sale.entries[0].postings if p.asset == "photo-1"]
    assert [p.change.minor for p in upstream] == [20_000_000]
    certificate = studio.certificate(sale.names["agreement"])
    claim = verify_proof(certificate.data, network.genesis)
    assert claim.record.agreement == sale.names["agreement"]
    assert len(claim.signers) >= 3
    with pytest.raises(InvalidProof):
        verify_proof(certificate.data.replace(b"advertiser", b"adventurer"), network.genesis)
    decision = studio.authorize("advertiser", "image-1", "display")
    assert decision.allowed
    assert decision.signed_by in {"n1", "n2", "n3", "n4"}
    assert studio.receipt(sale.transaction_hash).height == sale.height
    receipt = studio.receipt_certificate(sale.transaction_hash)
    assert receipt.claim.kind == "log"
    assert [p.change for p in receipt.claim.record.entries[0].postings if p.asset] == [20_000_000]
    absent = studio.proof("agreement/nobody")
    assert absent.claim.kind == "absence"


@cluster
def test_the_same_id_executes_once(network: Network, studio: SyncClient) -> None:
    how = Submission(id=os.urandom(16))
    studio.transfer("agency", "EUR 1.00", how=how)
    before = [b.amount.minor for b in studio.list_balances("agency")]
    transaction = studio.prepare(Transfer(to="agency", amount=EURO, reference="again"), how=how)
    with pytest.raises(Conflict):
        studio.send(transaction)
    assert [b.amount.minor for b in studio.list_balances("agency")] == before


@cluster
def test_sending_the_same_bytes_again_gives_the_first_receipt(network: Network, studio: SyncClient) -> None:
    transaction = studio.prepare(Transfer(to="agency", amount=EURO))
    first = studio.send(transaction)
    for node in (1, 2, 3):
        with network.client(node=node) as other:
            again = other.send(transaction)
            assert (again.height, again.index) == (first.height, first.index)


@cluster
def test_a_refusal_in_a_block_names_what_is_short(network: Network, studio: SyncClient) -> None:
    poor = studio.acting("contributor2", network.key("contributor2"))
    with pytest.raises(RefusedInBlock) as refused:
        poor.transfer("studio", "EUR 5.00")
    assert refused.value.code == "INSUFFICIENT_FUNDS"
    assert refused.value.height > 0
    with pytest.raises(LicetError) as preview:
        poor.transfer("studio", "EUR 5.00", how=Submission(validate_only=True))
    assert preview.value.code == "INSUFFICIENT_FUNDS"


@cluster
def test_a_quarter_passes_in_moments_and_usage_is_owed(network: Network, studio: SyncClient) -> None:
    start, end = period_bounds_ms("2026-01")
    buyer = studio.acting("advertiser", network.key("advertiser"))
    buyer.license("banner", agreement="ad-1")
    rows = [UsageRow(agreement="ad-1", at_ms=start + 86_400_000 + n, quantity=1000) for n in range(2500)]
    network.advance_to("2026-02-01")
    reports = buyer.report_usage(
        rows, fact="impressions", period_start_ms=start, period_end_ms=end, rows_per_report=1000
    )
    assert len(reports) == 3
    network.advance(days=15)
    buyer.close_period("ad-1", period="month", period_start_ms=start)
    owed = {item.creditor: item.amount.minor for item in studio.list_obligations(agreement="ad-1")}
    assert owed == {"contributor1": 2_975_000_000, "studio": 1_275_000_000}
    buyer.pay("ad-1", "EUR 4250.00")
    statement = studio.statement("contributor1")
    assert statement.by_clause("cash")[("ad-1", "P1")] == {"EUR": 2_975_000_000}
    assert "Monthly use" in statement.to_text()


@cluster
def test_events_resume_where_they_were_left(studio: SyncClient) -> None:
    everything = list(studio.events(until_now=True))
    assert len(everything) > 5
    middle = len(everything) // 2
    rest = list(studio.events(after=everything[middle].cursor, until_now=True))
    assert [event.cursor for event in rest] == [event.cursor for event in everything[middle + 1 :]]
    only = list(studio.events(kinds=["asset"], until_now=True))
    assert only
    assert {event.kind.split(".")[0] for event in only} == {"asset"}


@cluster
def test_a_killed_node_is_left_and_comes_back(network: Network) -> None:
    with SyncClient.connect(
        network.targets, sender="studio", key=network.key("studio"), genesis=network.genesis
    ) as client:
        client.transfer("agency", "EUR 0.01")
        assert "3 of 4 up" in network.kill(1)
        client.transfer("agency", "EUR 0.01")
        assert client.target != network.targets[0]
        network.start(1)
        client.transfer("agency", "EUR 0.01")


def test_a_folder_that_is_named_keeps_the_data(tmp_path: Path) -> None:
    with pytest.raises(NetworkFailed, match="holds no node"):
        Network(node_root=tmp_path / "nowhere", folder=tmp_path / "kept")
    assert not (tmp_path / "kept").exists()


# --- the command line


def licet(network: Network, *args: str, party: str = "", keys: Path | None = None) -> tuple[int, str, str]:
    """Run `licet` as a person does, in a process of its own."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith("LICET_")}
    environ |= {"LICET_TARGET": ",".join(network.targets), "LICET_GENESIS": str(network.genesis_file)}
    environ |= {"LICET_CONFIG": os.devnull + ".toml"}
    if party and keys is not None:
        environ |= {"LICET_SENDER": party, "LICET_KEY": str(keys / f"{party}.key")}
    done = subprocess.run(
        [sys.executable, "-m", "licet.cli", *args],
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
        env=environ,
    )
    return done.returncode, done.stdout, done.stderr


@cluster
def test_a_command_under_one_id_pays_once_however_often_it_is_typed(network: Network, tmp_path: Path) -> None:
    save_key(tmp_path / "advertiser.key", network.key("advertiser"))

    def pay(amount: str) -> tuple[int, str, str]:
        transfer = ("money", "transfer", "agency", amount, "--id", "5a" * 16, "-o", "id")
        return licet(network, *transfer, party="advertiser", keys=tmp_path)

    with network.client() as reader:

        def cash() -> list[int]:
            return [one.amount.minor for one in reader.list_balances("agency") if one.account == "cash"]

        code, first, err = pay("EUR 3.00")
        assert code == cli.DONE, err
        paid = cash()
        network.advance(minutes=1)
        assert pay("EUR 3.00") == (cli.DONE, first, "")
        code, _, err = pay("EUR 4.00")
        assert code != cli.DONE
        assert "is that of another transaction" in err
        network.advance(days=1)
        code, _, err = pay("EUR 3.00")
        assert code != cli.DONE
        assert "would take effect a second time" in err
        assert cash() == paid


@cluster
def test_the_main_job_on_the_command_line(network: Network, studio: SyncClient, tmp_path: Path) -> None:
    keys = tmp_path
    for party in ("bank", "agency", "advertiser"):
        save_key(keys / f"{party}.key", network.key(party))
    save_key(keys / "ines.key", generate_key())

    def ok(*args: str, party: str = "") -> str:
        code, out, err = licet(network, *args, party=party, keys=keys)
        assert code == cli.DONE, (args, out, err)
        if "-o" not in args:
            assert not err or err.startswith("next: "), (args, err)
        return out

    ok("party", "register", "ines", "--name", "Inês", "--kind", "person", party="ines")
    content = tmp_path / "photo.jpg"
    content.write_bytes(b"pixels")
    ok(
        *("asset", "register", "photo-9", "--kind", "photo", "--title", "Fog", "--content", str(content)),
        party="ines",
    )
    ok("asset", "claim", "photo-9", "--holder", "ines", "--share", "100%", party="ines")
    offer = ("offer", "create", "photo-9-flat", "--template", "stock.image_flat", "--param", "fee=EUR 99.99")
    offer += ("--role", "licensor=ines", "--role", "agency=agency", "--asset", "work=photo-9")
    code, _, err = licet(network, *offer, "--validate-only", "--role", "x=agency", party="ines", keys=keys)
    assert code == cli.REFUSED
    assert "no role" in err
    ok(*offer, "--co-key", str(keys / "agency.key"), party="ines")
    assert "costs EUR 99.99 at once" in ok("offer", "quote", "photo-9-flat", party="advertiser")
    proof = tmp_path / "sale.licet"
    agreement = ok(
        *("license", "buy", "photo-9-flat", "--proof", str(proof), "-o", "id"), party="advertiser"
    ).strip()
    genesis = str(network.genesis_file)
    assert ok("verify", str(proof), "--genesis", genesis).startswith("Valid: agreement/")
    assert "ines" in ok("license", "show", agreement)
    assert json.loads(ok("license", "list", "--on", "photo-9", "-o", "json"))[0]["agreement"] == agreement
    assert "EUR 69.99" in ok("statement", "ines")
    sold = next(line for line in studio.statement("ines").lines if line.clause == "P1").transaction_hash
    assert "sale P1 ines cash EUR 69.99" in ok("receipt", sold.hex(), "--proof", str(tmp_path / "r.licet"))
    assert ok("verify", str(tmp_path / "r.licet"), "--genesis", genesis).startswith("Valid: entry ")
    code, out, _ = licet(network, "authorize", "advertiser", "photo-9", "ai_train")
    assert code == cli.REFUSED
    assert out.startswith("no: ")
    assert ok("authorize", "advertiser", "photo-9", "display", "--medium", "web", "--territory", "DE")
    assert "agreement.activated" in ok("watch", "--until-now", "--party", "ines")
    assert "final" in ok("status")
    assert json.loads(ok("status", "-o", "json"))["network"] == "devnet"
    assert "stock.image_flat" in ok("terms", "list")
    assert "✗" not in ok("doctor", party="advertiser")


@cluster
def test_bad_rows_are_named_by_line_and_none_is_reported(
    network: Network, studio: SyncClient, tmp_path: Path
) -> None:
    save_key(tmp_path / "advertiser.key", network.key("advertiser"))
    studio.acting("advertiser", network.key("advertiser")).license("banner", agreement="ad-cli")
    month = format_time_ms(studio.status().now_ms)[:7]
    after = format_time_ms(period_bounds_ms(month)[1])
    table = tmp_path / "usage.csv"
    lines = ["agreement,at,quantity", f"ad-cli,{month}-01T10:00:00Z,5", f"nobody,{month}-01T10:00:00Z,5"]
    table.write_text("\n".join([*lines, f"ad-cli,{after},5", f"ad-cli,{month}-01T10:00:00Z,x"]))
    report = ("usage", "report", str(table), "--fact", "impressions", "--period", month, "--report", "m")
    code, _, err = licet(network, *report, party="advertiser", keys=tmp_path)
    assert code == cli.REFUSED
    assert "3 rows are wrong and nothing was reported: line 3: nobody is no agreement" in err
    assert f"line 4: {after} lies outside the period; line 5:" in err
    assert not list(studio.list_usage_reports(agreement="ad-cli"))
    table.write_text("\n".join(lines[:2]))
    code, out, err = licet(network, *report, party="advertiser", keys=tmp_path)
    assert (code, out.split(" ")[:3]) == (cli.DONE, ["1", "rows", "reported"]), err
    assert [item.rows for item in studio.list_usage_reports(agreement="ad-cli")] == [1]


@cluster
def test_nobody_signs_on_the_wrong_network(network: Network, tmp_path: Path) -> None:
    save_key(tmp_path / "studio.key", network.key("studio"))
    pay = ("pay", "a-1", "EUR 1.00", "--expect-chain", "00" * 32)
    code, _, err = licet(network, *pay, party="studio", keys=tmp_path)
    assert code == cli.MISUSE
    assert "nothing was signed" in err


@cluster
def test_the_readme_s_ten_lines_run(tmp_path: Path) -> None:
    """As printed, but for the port and the party, which here are a stocked network's."""
    text = (ROOT / "sdk" / "README.md").read_text(encoding="utf-8")
    found = re.search(r"```python\n(.*?)```", text, re.DOTALL)
    assert found is not None
    with Network(node_root=ROOT, world="stock") as stocked:
        (tmp_path / "genesis.json").write_bytes(stocked.genesis_file.read_bytes())
        save_key(tmp_path / "acme.key", stocked.key("advertiser"))
        lines = found.group(1).replace("127.0.0.1:7400", stocked.targets[0]).replace('"acme"', '"advertiser"')
        done = subprocess.run(
            [sys.executable, "-c", lines],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("False No agreement grants advertiser any right in photo-001.")
    assert "EUR -99.99" in done.stdout
    assert "validators signed" in done.stdout.splitlines()[-1]


@cluster
async def test_a_node_killed_under_load_loses_nothing_and_doubles_nothing(
    network: Network, studio: SyncClient
) -> None:
    """The client's node dies with hundreds of sales on its stream; each executes exactly once."""
    count, fee = 600, 100_000_000
    async with await network.connect("advertiser") as buyer:
        before = [b.amount.minor async for b in buyer.list_balances("advertiser") if b.account == "cash"]
        served = buyer.target
        sales = asyncio.create_task(
            buyer.submit_all([[AcceptOffer(agreement=f"load-{n}", offer="image")] for n in range(count)])
        )
        async for event in buyer.events(kinds=["agreement"]):
            if event.attributes.get("agreement", "").startswith("load-"):
                break  # the first is final: now
        node = network.targets.index(served) + 1
        await asyncio.to_thread(network.kill, node)
        outcomes = await sales
        await asyncio.to_thread(network.start, node)
        assert [type(outcome).__name__ for outcome in outcomes] == ["Committed"] * count
        assert len({outcome.transaction_hash for outcome in outcomes}) == count  # type: ignore[union-attr]
        after = [b.amount.minor async for b in buyer.list_balances("advertiser") if b.account == "cash"]
        assert before[0] - after[0] == count * fee
