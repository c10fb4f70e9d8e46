"""``tetrarch signer``: an enclave that other software may ask, as a Web3Signer-compatible server.

Start with ``api.py`` (what is answered), then ``batches.py``, ``server.py`` and ``run.py``.
"""
