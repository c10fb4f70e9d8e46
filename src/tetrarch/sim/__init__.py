"""Deterministic simulation: a virtual clock, a seeded network, faults, liars, checkers.

Imported by tests and by ``python -m tetrarch.sim`` only, never by production code. Start with
``loop`` (time), then ``network`` (faults), then ``qbft_world`` (what runs on them).
"""
