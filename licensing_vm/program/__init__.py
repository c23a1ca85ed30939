"""Programs: what a checked template becomes, and how its clauses run."""
