"""Consensus-spec values, their bytes, JSON and hash tree roots. Pure: no I/O, no clock.

Imports ``tetrarch.ssz`` and ``tetrarch.errors``. Start with ``values.py`` (what is signed) and
``domains.py`` (how it is signed); ``forks.py`` is the table of every fork's types.
"""
