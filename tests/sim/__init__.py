"""The deterministic simulator: one seed, one digest of the whole trace, the same core as the node runs."""
