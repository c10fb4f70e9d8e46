"""FROST: Schnorr signatures of t of n, with keys that no one holds, over the groups of three libraries."""
