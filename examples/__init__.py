"""Worked examples: a catalogue, a month of usage, terms, and the demo that plays them on four nodes."""
