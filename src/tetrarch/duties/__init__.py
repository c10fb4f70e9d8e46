"""The core workflow: one duty from its schedule to the beacon node.

Imports ``ethereum.spec``, ``crypto`` and ``errors``. Start with ``wire.py``, then ``types.py``.
"""
