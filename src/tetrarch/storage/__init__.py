"""Durable state: SQLite with one writer and group commit, and a twin for the simulator.

Imports only ``errors``. Start with ``database.py``; the twin that obeys the same contract is
``inline.py``; what a component stores is described by its own ``migrations.Schema``.
"""
