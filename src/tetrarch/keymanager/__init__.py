"""Ethereum's keymanager API: key material goes straight into the enclave.

``server`` belongs to ``tetrarch signer``, ``client`` to ``tetrarch cluster``. Start with
``messages.py`` (what is said), then ``keeper.py`` (what is done).
"""
