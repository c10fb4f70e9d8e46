"""The cluster's own chain: what a block is, what it changes, and which blocks count.

``dates`` has slots and epochs, ``headers`` and ``blocks`` the bytes, ``praos`` who may make a block by stake.
"""
