"""Where an execution parted from its peers' (C-13): comparing, asking, serving, and every way to fail."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from hashlib import sha256

import pytest
from licet.certificate import ExecutedRoots
from licet.types import Hash32, Height, ValidatorIndex

from consensus.effects import Isolate
from licensing_vm.trail import RECEIPT, Row
from licensing_vm.transition import BlockResult
from node.core.comparing import Absent, Difference, first_difference, in_order, key_text
from node.core.divergence import Divergence
from node.core.isolation import IsolationReport, Verdict
from node.core.parts import WrittenBlock
from node.core.writes_server import WritesServer
from node.ledger.writes import RecentWrites
from node.limits import (
    WRITES_ANSWER_US,
    WRITES_ASKED_MAX,
    WRITES_ATTEMPTS_MAX,
    WRITES_HEIGHTS_KEPT,
    WRITES_KEPT_MAX,
    WRITES_PAGE_EVERY_US,
    WRITES_SILENCE_US,
)
from node.net.peer_messages import WRITES_ROWS_MAX, WritesPage, WritesRequest
from tests.unit.node.core.world import block as make_block

A, B, C = (ValidatorIndex(index) for index in (1, 2, 3))
NAMES = ("n1", "n2", "n3", "n4")


def digest(text: str) -> Hash32:
    return Hash32(sha256(text.encode()).digest())


def row(position: int, key: str, value: str | None = "v") -> Row:
    return Row(position, digest(f"tx {position}"), key.encode(), None if value is None else digest(value))


def roots(height: int, name: str) -> ExecutedRoots:
    return ExecutedRoots(
        height=Height(height), state_root=digest(f"{name} {height}"), log_root=digest("log"), log_size=height
    )


@dataclass
class Written:
    """A block whose rows are given; it needs two slices to prepare."""

    roots: ExecutedRoots
    all: Sequence[Row] = ()
    slices: int = 2
    read: int = 0

    @property
    def total(self) -> int:
        return len(self.all)

    def prepare(self) -> bool:
        self.slices -= 1
        return self.slices <= 0

    def rows(self, first: int, count: int) -> list[Row]:
        self.read += count
        return list(self.all[first : first + count])


@dataclass
class Window:
    """A source over given blocks."""

    blocks: dict[int, Written] = field(default_factory=dict)
    earlier: str = ""

    def at(self, height: Height) -> WrittenBlock | None:
        return self.blocks.get(height)

    def found_before(self, ours: ExecutedRoots) -> str:
        return self.earlier if ours == roots(4, "ours") else ""


ROWS = [row(0, "balance/a"), row(0, "balance/b", None), row(0, ""), row(1, "balance/a", "w"), row(1, "", "r")]


def window(
    name: str, *, at: Sequence[Row] = ROWS, differs_from: int = 3, lowest: int = 1, top: int = 4
) -> Window:
    """Heights up to `top`; below `differs_from` with the roots that everybody has."""
    return Window(
        {
            height: Written(
                roots(height, name if height >= differs_from else "all"),
                at if height == differs_from else ROWS,
            )
            for height in range(lowest, top + 1)
        }
    )


def isolate(height: int = 4, ours: str = "ours", theirs: str = "theirs") -> Isolate:
    header = replace(make_block(()).header, executed=roots(height, theirs))
    return Isolate(header=header, ours=roots(height, ours), theirs=roots(height, theirs))


class Play:
    """An isolated node and its peers, each a server over a window of its own."""

    def __init__(self, own: Window, **peers: Window) -> None:
        self.node = Divergence(others=(A, B, C), attesting=2, source=own)
        self.servers = {
            index: WritesServer(peers[name])
            for index, name in ((A, "a"), (B, "b"), (C, "c"))
            if name in peers
        }
        self.now = 0
        self.asked: list[tuple[ValidatorIndex, WritesRequest]] = []
        for peer in self.servers:
            self.node.connected(peer, mono_us=0)

    def run(self, until_us: int = WRITES_SILENCE_US - 1) -> IsolationReport:
        """Wake both sides when they want to be woken, until there is nothing to do or the time is over."""
        while True:
            due = [self.node.next_at(), *(server.next_at() for server in self.servers.values())]
            at = min((time for time in due if time is not None), default=until_us + 1)
            if at > until_us:
                break
            self.now = max(self.now, at)
            for peer, request in self.node.step(self.now):
                self.asked.append((peer, request))
                if peer in self.servers:
                    self.servers[peer].wanted(A, request)
            for peer, server in self.servers.items():
                for _, page in server.step(self.now):
                    self.node.given(peer, page, mono_us=self.now)
        report = self.node.report()
        assert report is not None
        return report


def begun(own: Window, **peers: Window) -> Play:
    play = Play(own, **peers)
    play.node.begin(isolate(), mono_us=0)
    return play


def difference(report: IsolationReport) -> Difference:
    assert report.main is not None
    found = report.main.verdict
    assert isinstance(found, Difference)
    return found


# --- comparison ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "place", "ours", "theirs"),
    [
        ({1: row(0, "balance/b", "x")}, (0, b"balance/b"), Absent.DELETED, digest("x")),
        ({1: row(0, "balance/c")}, (0, b"balance/b"), Absent.DELETED, Absent.UNWRITTEN),
        ({0: row(0, "balance/0")}, (0, b"balance/0"), Absent.UNWRITTEN, digest("v")),
        ({2: None}, (0, RECEIPT), digest("v"), Absent.UNWRITTEN),
        ({4: None}, (1, RECEIPT), digest("r"), Absent.UNWRITTEN),
        ({4: row(1, "", "other")}, (1, RECEIPT), digest("r"), digest("other")),
        ({5: row(2, "")}, (2, RECEIPT), Absent.UNWRITTEN, digest("v")),
    ],
)
def test_the_first_row_that_differs_is_found(
    change: dict[int, Row | None], place: tuple[int, bytes], ours: object, theirs: object
) -> None:
    changed = [change.get(at, ROWS[at] if at < len(ROWS) else None) for at in range(6)]
    other = [one for one in changed if one is not None]
    found = first_difference(Height(3), ROWS, other, maybe_earlier=False)
    assert found is not None
    assert ((found.position, found.key), found.ours, found.theirs) == (place, ours, theirs)
    assert first_difference(Height(3), other, other, maybe_earlier=False) is None


def test_rows_that_stand_out_of_order_are_no_answer() -> None:
    assert in_order(ROWS, None)
    assert in_order(ROWS[3:], ROWS[2])
    assert not in_order(ROWS[2:], ROWS[2])
    assert not in_order([ROWS[2], ROWS[1]], None)


def test_keys_are_shown_as_text_with_nothing_unprintable() -> None:
    assert key_text("balance/åse/cash//EUR".encode()) == "key balance/åse/cash//EUR"
    assert key_text(b"a\n\x1b[2J\xff") == "key a\\x0a\\x1b[2J\\xff"
    assert key_text(RECEIPT) == "its receipt"


# --- questioning ---------------------------------------------------------------------------------


def test_it_descends_to_the_first_height_that_differs_and_names_the_row() -> None:
    theirs = [*ROWS[:3], row(1, "balance/a", "honest"), row(1, "", "r")]
    play = begun(window("ours"), a=window("theirs", at=theirs), b=window("theirs", at=theirs))
    report = play.run()
    found = difference(report)
    assert (found.height, found.position, found.transaction) == (3, 1, digest("tx 1"))
    assert (found.key, found.ours, found.theirs) == (b"balance/a", digest("w"), digest("honest"))
    assert not found.maybe_earlier
    assert report.main is not None
    assert (report.main.peers, report.main.attested) == ((A, B), True)
    sentence = report.sentence(NAMES)
    assert "height 3, transaction 1" in sentence
    assert sentence.endswith("attested by n2, n3")
    heights = [(request.height, request.rows) for peer, request in play.asked if peer == A]
    assert heights == [(4, 0), (3, 0), (2, 0), (3, WRITES_ROWS_MAX)]
    assert play.node.next_at() == WRITES_SILENCE_US, "the third was never there"


def test_one_peer_alone_attests_nothing_and_a_liar_leads_nobody_astray() -> None:
    theirs = [*ROWS[:3], row(1, "balance/a", "honest"), row(1, "", "r")]
    lie = [row(0, "balance/a", "a lie"), *ROWS[1:]]
    play = begun(window("ours"), a=window("theirs", at=lie))
    report = play.run()
    assert report.sentence(NAMES).endswith("according to n2 only")
    play = begun(
        window("ours"),
        a=window("theirs", at=lie),
        b=window("theirs", at=theirs),
        c=window("theirs", at=theirs),
    )
    report = play.run()
    assert difference(report).theirs == digest("honest")
    assert [(one.peers, one.attested) for one in report.findings] == [((B, C), True), ((A,), False)]
    assert play.node.next_at() is None, "all is said"


def test_equal_writes_and_other_roots_mean_that_the_tree_differs() -> None:
    play = begun(window("ours"), a=window("theirs"), b=window("theirs"))
    report = play.run()
    assert report.main is not None
    assert (report.main.verdict, report.main.attested) == (Verdict.TREE, True)
    assert "tree or log is damaged" in report.sentence(NAMES)


@pytest.mark.parametrize(
    ("own_lowest", "their_lowest"), [(3, 1), (1, 3)], ids=["own window ends", "their window ends"]
)
def test_where_a_window_ends_the_difference_may_lie_before(own_lowest: int, their_lowest: int) -> None:
    theirs = [row(0, "balance/a", "honest"), *ROWS[1:]]
    play = begun(
        window("ours", lowest=own_lowest, differs_from=3),
        a=window("theirs", at=theirs, lowest=their_lowest, differs_from=3),
    )
    report = play.run()
    assert difference(report).maybe_earlier
    assert "or before" in report.sentence(NAMES)


def test_what_nobody_holds_any_more_is_said() -> None:
    play = begun(window("ours"), a=window("theirs", lowest=9))
    assert [one.verdict for one in play.run().findings] == [Verdict.LOST]
    assert "n2: it no longer holds" in play.run().sentence(NAMES)
    own = begun(window("ours", lowest=9), a=window("theirs"))
    report = own.run()
    assert report.own_lost
    assert own.asked == []
    assert "restarted" in report.sentence(NAMES)
    again = window("ours", lowest=9)
    again.earlier = "the key"
    assert begun(again).run().sentence(NAMES) == "found before this node was restarted: the key"


def test_a_peer_that_was_behind_is_asked_again_when_it_returns() -> None:
    late = window("theirs", lowest=9)
    play = begun(window("ours"), a=late)
    play.run()
    late.blocks = window("theirs").blocks
    play.node.lost(A)
    play.servers[A].lost(A)
    play.node.connected(A, mono_us=play.now)
    assert play.run().main is not None


def test_a_peer_with_our_roots_is_as_wrong_as_we_are_and_other_roots_are_untrue() -> None:
    report = begun(window("ours"), a=window("ours"), b=window("third")).run()
    assert {one.verdict for one in report.findings} == {Verdict.SAME, Verdict.UNTRUE}
    assert report.main is None


@pytest.mark.parametrize(
    "answer",
    [
        lambda page: replace(page, rows=(page.rows[1], page.rows[0]), total=9),
        lambda page: replace(page, rows=(), total=9),
        lambda page: replace(
            page, rows=(page.rows[0]._replace(transaction=digest("none"), value=digest("x")),), total=9
        ),
    ],
    ids=["out of order", "no rows and no end", "another transaction"],
)
def test_an_answer_that_contradicts_itself_or_the_block_sets_the_peer_aside(answer: object) -> None:
    play = begun(window("ours"), a=window("theirs"))
    server = play.servers.pop(A)
    reader = ValidatorIndex(0)
    while play.node.report() is not None and not play.node.report().findings:  # type: ignore[union-attr]
        play.now += WRITES_PAGE_EVERY_US
        for _, request in play.node.step(play.now):
            server.wanted(reader, request)
        for _, page in server.step(play.now):
            play.node.given(A, answer(page) if page.rows else page, mono_us=play.now)  # type: ignore[operator]
        assert play.now < WRITES_SILENCE_US
    report = play.node.report()
    assert report is not None
    assert [one.verdict for one in report.findings] == [Verdict.UNTRUE]


def test_what_was_not_asked_for_is_nothing() -> None:
    play = begun(window("ours"), a=window("theirs"))
    before = play.node.report()
    page = WritesPage(height=Height(3), roots=roots(3, "theirs"), total=1, rows=(row(0, "k"),))
    for peer in (A, B, ValidatorIndex(0)):
        play.node.given(peer, page, mono_us=0)
    assert play.node.report() is before
    idle = Divergence(others=(A,), attesting=2, source=window("ours"))
    idle.given(A, page, mono_us=0)
    assert (idle.report(), idle.news(), idle.next_at(), idle.step(9)) == (None, None, None, [])


def test_silence_is_said_and_a_silent_peer_is_asked_again_but_not_for_ever() -> None:
    play = begun(window("ours"))
    play.node.connected(A, mono_us=0)
    report = play.run(WRITES_SILENCE_US)
    assert report.silent
    assert "no peer has told" in report.sentence(NAMES)
    assert len(play.asked) == WRITES_SILENCE_US // WRITES_ANSWER_US + 1
    report = play.run(2 * WRITES_ASKED_MAX * WRITES_ANSWER_US)
    assert len(play.asked) == WRITES_ASKED_MAX
    assert [one.verdict for one in report.findings] == [Verdict.ENDLESS]


def test_reconnections_are_counted() -> None:
    play = begun(window("ours"))
    for attempt in range(2 * WRITES_ATTEMPTS_MAX):
        play.node.connected(A, mono_us=attempt)
        play.node.step(attempt)
        play.node.lost(A)
    report = play.node.report()
    assert report is not None
    assert [one.verdict for one in report.findings] == [Verdict.ENDLESS]


def test_long_heights_are_compared_page_by_page() -> None:
    rows = [row(position, key) for position in range(900) for key in ("k", "")]
    other = list(rows)
    other[1_700] = other[1_700]._replace(value=digest("honest"))
    play = begun(window("ours", at=rows), a=window("theirs", at=other))
    found = difference(play.run())
    assert (found.position, found.key) == (850, b"k")
    pages = [request for _, request in play.asked if request.rows]
    assert [one.first_row for one in pages] == [0, 512, 1_024, 1_536]


# --- serving -------------------------------------------------------------------------------------


def test_a_flood_of_questions_costs_a_page_in_so_many_ms_and_delays_its_sender_alone() -> None:
    rows = [row(position, "k") for position in range(2_000)]
    source = Window({1: Written(roots(1, "x"), rows), 2: Written(roots(2, "x"), rows)})
    server = WritesServer(source)
    pages: dict[ValidatorIndex, int] = {A: 0, B: 0}
    asked = 0
    for now in range(0, 1_000_000, 1_000):
        for number in range(20):
            server.wanted(A, WritesRequest(height=Height(1 + number % 2), first_row=number, rows=512))
            asked += 1
        if now % 100_000 == 0:
            server.wanted(B, WritesRequest(height=Height(1), rows=512))
        for _ in range(8):
            for peer, _page in server.step(now):
                pages[peer] += 1
    assert pages[B] == 10
    assert pages[A] <= 1_000_000 // WRITES_PAGE_EVERY_US
    assert asked == 20_000


def test_each_step_hashes_a_slice_and_a_block_stays_for_its_reader() -> None:
    written = Written(roots(1, "x"), [row(position, "k") for position in range(2_000)])
    source = Window({1: written})
    server = WritesServer(source)
    request = WritesRequest(height=Height(1), rows=512)
    server.wanted(A, request)
    source.blocks.clear()
    read: list[int] = []
    pages: list[WritesPage] = []
    while not pages:
        before = written.read
        pages += [page for _, page in server.step(0)]
        read.append(written.read - before)
    assert read == [0, 256, 256], "first it is prepared"
    assert (len(pages[0].rows), pages[0].total) == (512, 2_000)
    assert server.step(0) == []
    server.wanted(A, replace(request, first_row=1_900))
    assert server.next_at() == WRITES_PAGE_EVERY_US
    ((_, last),) = server.step(WRITES_PAGE_EVERY_US)
    assert (last.first_row, len(last.rows)) == (1_900, 100)
    server.wanted(B, request)
    ((_, gone),) = server.step(WRITES_PAGE_EVERY_US)
    assert gone.roots is None


# --- the window ----------------------------------------------------------------------------------


def _result(height: int, writes: int) -> BlockResult:
    notes = (b"k", None) * writes
    return BlockResult(height=height, timestamp_ms=0, writes={}, executed=(), rows=0, notes=notes)


def test_the_window_keeps_what_no_header_anchors_and_little_else() -> None:
    kept = RecentWrites()
    for height in range(1, 3 * WRITES_HEIGHTS_KEPT):
        kept.keep(roots(height, "x"), _result(height, 3), anchored=Height(height - 1))
    assert len(kept) == WRITES_HEIGHTS_KEPT
    assert kept.at(Height(1)) is None
    assert kept.at(Height(3 * WRITES_HEIGHTS_KEPT)) is None
    newest = kept.at(Height(3 * WRITES_HEIGHTS_KEPT - 1))
    assert newest is not None
    assert newest.roots.height == 3 * WRITES_HEIGHTS_KEPT - 1
    heavy = RecentWrites()
    for height in range(1, 9):
        heavy.keep(
            roots(height, "x"), _result(height, WRITES_KEPT_MAX // 2), anchored=Height(max(0, height - 4))
        )
    assert list(heavy.heights()) == [5, 6, 7, 8], "these no header anchors"
