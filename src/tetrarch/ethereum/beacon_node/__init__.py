"""One beacon node over HTTP. Start with ``ports.py`` (what it can do), then ``client.py``.

Imports ``ethereum.spec`` and ``errors``; knows nothing of duties or clusters.
"""
