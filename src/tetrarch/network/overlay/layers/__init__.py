"""The layers of the topology, one file each; ``layer`` says what a layer is."""
