"""``tetrarch demo``: a development chain and a whole cluster as real processes, watched live.

Imports the public commands' functions only; start with ``show.py``.
"""
