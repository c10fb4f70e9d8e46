"""Messages of the reference's node protocol. ``*_pb2.py`` are made from ``*.proto``: ``python -m tests.protos``."""
