"""What a running node shows of itself: logs, metrics, health.

Nothing here is global: a node builds its own log and its own registry, so that two nodes can
live in one process. Start with ``metrics``.
"""
