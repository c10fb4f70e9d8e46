"""What the operators agreed on, as files: lock, extension, share keystores; made and verified.

Imports ``crypto``, ``ssz``, ``ethereum.spec`` and ``errors``. Start with ``definition.py`` and ``lock.py`` (the
values), then ``verify.py`` (what must hold) and ``load.py`` (what a node and its enclave read).
"""
