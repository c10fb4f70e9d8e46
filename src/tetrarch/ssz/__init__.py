"""SimpleSerialize: bytes, the beacon API's JSON and hash tree roots, by type descriptors.

Imports only ``tetrarch.errors``. Start with ``descriptor.py`` (what every type can do), then
``container.py`` (records); ``incremental.py`` keeps roots of big states cheap. Pure: no I/O.

Source: ethereum/consensus-specs, ssz/simple-serialize.md.
"""
