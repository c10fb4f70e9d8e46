"""Consensus-spec values, their bytes, JSON and hash tree roots. Pure: no I/O, no clock.

Start with ``values.py`` (what is signed) and ``domains.py`` (how it is signed).
"""
