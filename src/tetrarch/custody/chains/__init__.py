"""Outside chains, each behind the same port."""
