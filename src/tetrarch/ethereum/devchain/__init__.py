"""A made-up beacon chain: strict rules, a beacon HTTP API, and faults that can be switched on.

Start with ``chain.py`` (the chain, free of I/O; time is an argument) and ``transition/`` (the
rules, one file per group); ``server.py`` puts HTTP in front. For tests, demos and the simulator.
"""
