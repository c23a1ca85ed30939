"""The deterministic simulator: one seed, one digest of the whole trace, the same core as the node runs.

    world, clock, network, disk     virtual time, and everything that can be wrong with machines
    shell, process, performer       a node's process: `ledger.assembly` and the contract's order of effects
    cluster, workload, shop         four members, their clients, what these do
    trouble, draw, run              what a seed means and how a run goes
    history, witness                what an outsider saw; the only input of `checkers/`
    byzantine/                      adversaries, each a file that rewrites what an honest core asked for
    mutants/                        known bugs that the checkers must catch: the simulator's acceptance test
    measure                         the idle network of the design's model

`python -m tests.sim --seed N` replays one; `--first N --seeds M` searches. A seed
that failed once stands in `seeds.txt` for good.
"""
