"""The money core: exact amounts, splits that are fair for ever, lineage weights, the journal."""
