"""Adversaries, each a file that rewrites what an honest core asked for. One of four members may be one."""
