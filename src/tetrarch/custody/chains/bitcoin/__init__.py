"""Bitcoin, and chains whose transactions are its own: outputs held by Taproot keys, spent by FROST."""
