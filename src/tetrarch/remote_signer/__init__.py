"""Web3Signer's remote signing API (EIP-3030): its requests, and the client for several signers.

``signer_api`` is the server. Start with ``requests.py`` (the JSON of both), then ``signing.py``.
"""
