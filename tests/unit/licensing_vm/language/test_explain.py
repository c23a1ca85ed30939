"""The plain summary says what the program does: rounding, precedence, bounds, lineages, prohibitions."""

from __future__ import annotations

from licensing_vm.language.checker import check
from licensing_vm.language.explain import explain

TERMS = """
template t.explained version 1.0.0 "Explained" {
  parties { a: one; b: one; }
  assets { work: image; song: sound_recording; }
  currency EUR scale 1 round half_even;
  params {
    fee: money in EUR 1.0 .. EUR 100.0;
    x: money = EUR 3.0;
    pc: percent in 1% .. 50%;
    long: duration in 1 month .. 3 years;
  }
  period m monthly close after 0 days;
  period q quarterly close after 10 days;
  facts {
    n: count<hit> in 0 .. 1_000 from b per m else last;
    g: money in EUR 0.0 .. EUR 9.0 from b per q else mean 2;
  }
  grant G "Show" { permit display of work to b during long from effective }
  forbid F "No machines" { ai_train of work }
  lineage up { mode relative; depth 8; stack max 40%; count once; }
  lineage base of song { mode absolute; depth 8; count every path; }
  pay P "Parts" on activated {
    let part = fee * 33.33% + x;
    let whole = fee + part * 2 - (fee - x * 10%) * pc;
    b pays part to a;
    b pays whole;
    split whole { lineage up; rest -> a; }
  }
  pay Q "Songs" on activated { b pays fee; split fee { 25% -> lineage base; rest -> a; } }
}
"""


def _lines() -> str:
    checked = check(TERMS)
    assert checked.program is not None, checked.report.render("explained")
    return explain(checked.program)


def test_a_rounded_part_of_a_calculation_is_said_to_be_and_keeps_its_parentheses() -> None:
    text = _lines()
    assert "b pays (fee × 33.33%) + x, rounded: all of it to a;" in text
    whole = "(fee + (rounded((fee × 33.33%) + x) × 2)) - ((fee - (x × 10%)) × pc), rounded:"
    assert f"b pays {whole}" in text
    assert whole.count("(") == whole.count(")")


def test_bounds_of_facts_and_parameters_are_said() -> None:
    text = _lines()
    assert "Money is in EUR with 1 decimal," in text
    assert (
        "n: a count of hit, at most 1_000, by b, monthly; each m is closed at its end at the earliest;"
        in text
    )
    assert "g: an amount, at most EUR 9.0, by b, quarterly; each q is closed 10 days after its end" in text
    assert text.count("(zero in the first)") == 2
    assert "long is from 1 month to 3 years" in text


def test_lineages_are_explained_and_named_where_they_are_paid() -> None:
    text = _lines()
    assert (
        "up, the ancestors of work within 8 generations: the weight of one is the product of the rates"
        in text
    )
    assert (
        "base, the ancestors of song within 8 generations: the weight of one is the rate of the link" in text
    )
    assert "together at most 40% (above it all are scaled down alike), by up" in text
    assert "25% among the ancestors by their absolute weight, counted on every path" in text
    assert "(to the rest where there are none), by base" in text


def test_a_prohibition_limits_its_own_agreement_only() -> None:
    # L-14: it never cancels a right bought elsewhere.
    assert "F No machines: nothing here permits to ai_train work." in _lines()
