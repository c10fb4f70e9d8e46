"""Keys, signatures and sharing. Pure: entropy is an argument, no I/O, no global state."""
