"""The mesh: every pair of cluster peers, direct, mutual TLS, one stream."""
