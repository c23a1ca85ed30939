"""L-13: the diamond in its four cases, and what bounds a lineage."""

from __future__ import annotations

import pytest

from licensing_vm.money.lineage import LineageRefused, ancestor_weights, select
from licensing_vm.program.binding import split_table
from licensing_vm.program.compiler import compile_source
from licensing_vm.program.interpreter import run
from licensing_vm.program.limits import ANCESTORS_MAX
from licensing_vm.program.model import Intent, LineageCount, LineageMode

PERCENT = 10**7  # an edge's rate counts billionths
EDGES = {
    b"D": [(b"B", 20 * PERCENT), (b"C", 10 * PERCENT)],
    b"B": [(b"A", 10 * PERCENT)],
    b"C": [(b"A", 30 * PERCENT)],
}
SALE = """template t.sale version 1.0.0 "Sale" {{
  parties {{ owner: one; licensee: one; }}
  assets {{ work: image; }}
  currency EUR scale {scale} round half_even;
  params {{ fee: money in EUR 0.01 .. EUR 1_000.00; }}
  lineage up {{ mode {mode}; depth 8; stack max 40%; count {count}; }}
  grant G1 "Any" {{ permit display of work to licensee during 1 year from effective }}
  pay P1 "Sale" on activated {{ licensee pays fee; split fee {{ {leg}; rest -> owner; }} }}
}}"""


def parents(key: bytes) -> list[tuple[bytes, int]]:
    return EDGES.get(key, [])


def sell(mode: str, count: str, *, leg: str = "lineage up", fee: int = 1_000_000) -> dict[object, int]:
    program = compile_source(SALE.format(mode=mode, count=count, leg=leg, scale=4))
    table = ancestor_weights(b"D", EDGES[b"D"], parents)
    modes = LineageMode[mode.upper()], LineageCount[count.upper().replace(" ", "_")]
    ancestors = select(table, *modes)
    tables = [split_table(program.clauses[0].splits[0], (fee,), (ancestors,), program)]
    (intent,) = run(program, 0, (fee,), (), (), tables, (0,))
    assert isinstance(intent, Intent)
    return dict(zip(intent.payees, intent.shares, strict=True))


@pytest.mark.parametrize(
    ("mode", "count", "b", "c", "a", "owner"),
    [
        ("relative", "once", 200_000, 100_000, 30_000, 670_000),
        ("relative", "every path", 200_000, 100_000, 50_000, 650_000),
        ("absolute", "once", 133_333, 66_667, 200_000, 600_000),
        ("absolute", "every path", 114_286, 57_143, 228_571, 600_000),
    ],
)
def test_the_diamond(mode: str, count: str, b: int, c: int, a: int, owner: int) -> None:
    assert sell(mode, count) == {b"B": b, b"C": c, b"A": a, 0: owner}


def test_a_budget_is_divided_in_proportion() -> None:
    assert sell("relative", "once", leg="33% -> lineage up") == {
        b"B": 200_000,
        b"C": 100_000,
        b"A": 30_000,
        0: 670_000,
    }


def test_without_ancestors_the_leg_goes_to_the_rest() -> None:
    program = compile_source(SALE.format(mode="relative", count="once", leg="lineage up", scale=2))
    table = split_table(program.clauses[0].splits[0], (100,), ((),), program)
    assert dict(zip(table.payees, table.pay(0, 100), strict=True)) == {0: 100}


def test_floored_at_each_edge() -> None:
    third = 333_333_333
    table = ancestor_weights(b"c", [(b"p", third)], lambda key: [(b"g", third)] if key == b"p" else [])
    assert [(row.key, row.relative_once) for row in table] == [
        (b"g", 111_111_110_888),
        (b"p", 333_333_333_000),
    ]


def test_an_edge_on_several_paths_counts_once_in_absolute_mode() -> None:
    """D has B and C, both have A, and A has Z: the edge A -> Z lies on two paths and enters Z once."""
    edges = {**EDGES, b"A": [(b"Z", 5 * PERCENT)]}
    table = ancestor_weights(b"D", edges[b"D"], lambda key: edges.get(key, []))
    z = next(row for row in table if row.key == b"Z")
    assert z.absolute_once == z.absolute_every_path == 5 * 10**10
    assert (z.relative_once, z.relative_every_path) == (15 * 10**8, 25 * 10**8)


def test_only_eight_generations_count() -> None:
    chain = {bytes([k]): [(bytes([k + 1]), 50 * PERCENT)] for k in range(12)}
    table = ancestor_weights(b"\0", chain[b"\0"], lambda key: chain.get(key, []))
    assert [row.key for row in table] == [bytes([k]) for k in range(1, 9)]
    assert table[-1].relative_once == 10**12 // 2**8


def test_a_cycle_is_refused() -> None:
    with pytest.raises(LineageRefused, match="its own ancestor"):
        ancestor_weights(b"A", [(b"D", PERCENT)], parents)


def test_too_many_ancestors_are_refused() -> None:
    many = [(n.to_bytes(2, "big"), PERCENT) for n in range(ANCESTORS_MAX + 1)]
    with pytest.raises(LineageRefused, match="ancestors"):
        ancestor_weights(b"child", many, lambda _: [])


@pytest.mark.parametrize("rate", [0, -1, 10**9 + 1])
def test_rates_out_of_range_are_refused(rate: int) -> None:
    with pytest.raises(LineageRefused, match="rate"):
        ancestor_weights(b"child", [(b"p", rate)], lambda _: [])


def test_paths_that_multiply_without_end_are_refused() -> None:
    """Seven layers of twenty works at 100 % each: a weight beyond any sale."""
    layers = [[bytes([layer, n]) for n in range(20)] for layer in range(8)]
    edges = {key: [(up, 10**9) for up in layers[k + 1]] for k in range(7) for key in layers[k]}
    with pytest.raises(LineageRefused, match="1,000 times"):
        ancestor_weights(b"child", [(key, 10**9) for key in layers[0]], lambda key: edges.get(key, []))


def test_a_thicket_of_links_is_refused() -> None:
    """Every one of many works links to every one of the next generation: few ancestors, many links."""
    wide = 40
    layers = [[b"%d-%d" % (layer, n) for n in range(wide)] for layer in range(3)]
    above = {node: layers[at + 1] for at, layer in enumerate(layers[:-1]) for node in layer}

    def parents_of(key: bytes) -> list[tuple[bytes, int]]:
        return [(parent, 1_000_000) for parent in above.get(key, ())]

    direct = [(node, 1_000_000) for node in layers[0]]
    with pytest.raises(LineageRefused, match="2048 links"):
        ancestor_weights(b"child", direct, parents_of)
    assert len(ancestor_weights(b"child", direct[:5], parents_of)) == 85
