"""Known bugs, each a small named patch of the production code, that the checkers must catch."""
