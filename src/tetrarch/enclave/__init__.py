"""The process that holds the share keys: typed requests in, rule-checked signatures out.

Imports ``crypto``, ``ethereum.spec``, ``storage`` and ``errors`` only: small enough to trust.
Start with ``ports.py`` (what a node may ask) and ``rules.py`` (what it may not have).
"""
