"""Ethereum as the node sees it: spec values, domains, networks, the beacon node's HTTP API.

Imports ``ssz``, ``crypto`` and ``errors``. Start with ``spec/values.py``.
"""
