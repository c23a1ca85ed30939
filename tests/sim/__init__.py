"""The deterministic simulator: one seed, one digest of the whole trace, the same core as the node runs.

    world, clock, network, disk     virtual time, and everything that can be wrong with machines
    shell, process, performer       a node's process: `ledger.assembly` and the contract's order of effects
    cluster                         four members and what a plan may do to them
    load, workload, client          what is asked of them: drawn, made, and sent until the id is used up
    shop, metering, metered.terms   what is sold; what is used, reported, closed by the day, owed and paid
    trouble, draw, run              what a seed means and how a run goes
    history, witness                what an outsider saw; the only input of `checkers/`
    checkers/                       one promise each; books, own_terms, replay: a ledger of their own
    byzantine/                      adversaries, each a file that rewrites what an honest core asked for
    mutants/                        known bugs that the checkers must catch: the simulator's acceptance test
    measure                         the idle network of the design's model

`python -m tests.sim --seed N` replays one; `--first N --seeds M` searches. A seed
that failed once stands in `seeds.txt` for good.
"""
