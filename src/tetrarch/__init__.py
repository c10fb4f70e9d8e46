"""tetrarch: one node program with which several operators act as one.

Start with ``duties/wire.py`` (the data's way through the node) and ``node.py`` (what is built).
"""

__version__ = "0.1.0"
