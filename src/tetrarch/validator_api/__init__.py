"""The beacon API as this node's validator client sees it: agreed data out, partial signatures in.

Start with ``routes.py`` (every endpoint we answer ourselves; all others go to the beacon node).
Endpoint files know nothing of HTTP servers; ``server.py`` is the only one that does.
"""
