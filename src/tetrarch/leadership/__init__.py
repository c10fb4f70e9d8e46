"""Blocks on time: who of ours is to make one when, and what became of it.

``logs`` keeps what became of each event.
"""
