"""The state transition: one file per group of rules, each reading like the specification.

``block.py`` applies a block, ``slots.py`` lets slots pass, ``epoch.py`` lists what happens at the
end of an epoch. Every function changes the ``State`` it is given, and raises
``TransitionInvalid`` where the specification's assertion fails; the state is then worthless.

Source: ethereum/consensus-specs 1.7.0, the beacon-chain.md of every fork.
"""
