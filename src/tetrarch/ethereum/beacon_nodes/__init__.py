"""Several beacon nodes that act as one. Start with ``voting.py`` (the rule), then ``several.py``.

Imports ``ethereum.beacon_node``, ``ethereum.spec``, ``clock``, ``errors`` and the log's port;
knows nothing of duties or clusters. ``docs/explanation/several-beacon-nodes.md`` tells the story.
"""
