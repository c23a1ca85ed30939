"""A whole network on one machine, for development, tests and the demo."""
