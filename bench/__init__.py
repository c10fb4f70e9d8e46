"""Runnable benchmarks: ``python -m bench`` runs all, ``python -m bench.bls`` one of them.

Each has ``run() -> dict`` and prints a table: medians beside the physical limit or an
alternative measured in the same run. Machines are noisy: compare within one run.
"""
