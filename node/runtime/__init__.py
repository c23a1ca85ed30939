"""The one event loop: turns, admission, syncs, execution and replies in the order that the core asks for."""
