"""Elect one leader among the nodes that are alive, with a proof that anybody can check.

The way of a term: nodes agree on who is alive (``tally``), every enclave signs its *view* at most
once (``promises``), a quorum of equal views is a certificate of that view (``certificates``), and
every enclave derives the same leader from it (``choice``).
"""
