"""Evidence that a key lives in a certain program on certain hardware, and what is made of it. Pure.

Words as in RFC 9334: an attester makes evidence, a verifier turns it into claims, a policy holds
the reference values. One module for each kind of evidence; ``verifier`` is the way in.
"""
