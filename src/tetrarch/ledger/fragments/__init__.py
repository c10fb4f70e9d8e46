"""What a block may change: one file for each kind of fragment, and ``registry`` that names them."""
