"""The command line: parse, call one function, print, map errors to exit codes. No logic.

Imports everything below it; one file per command group. Start with ``main.py``.
"""
