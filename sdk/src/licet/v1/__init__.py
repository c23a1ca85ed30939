"""Version 1 of the wire contract, generated from `proto/` by `make proto`. Nothing here is written by hand."""
