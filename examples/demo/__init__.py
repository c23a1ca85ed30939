"""The main job from end to end on four real nodes: `make demo`, or `python -m examples.demo`."""
