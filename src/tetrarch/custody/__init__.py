"""Coins on outside chains that a threshold of members holds: what comes in, what goes out, and that both add up."""
