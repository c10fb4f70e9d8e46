"""The open network: who is there, whom to talk to, and how blocks and fragments reach everybody.

``profile`` says what a node is, ``nodes`` which ones are known and how the policy thinks of them,
``topology`` and its layers whom to link with, ``spreading`` what goes along which link; ``machine`` joins
them, and all of that is pure. ``overlay`` runs it over gRPC. Start with ``topology``.
"""
