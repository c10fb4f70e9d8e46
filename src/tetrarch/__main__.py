"""``python -m tetrarch``: the same as the ``tetrarch`` command."""

from tetrarch.cli.main import main

if __name__ == "__main__":
    main()
