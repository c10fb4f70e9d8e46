"""A first block as an operator writes it: all of it is read, and what is wrong is named."""

import pytest
from tests.ledger.makers import account_id, bft_public, pool_keys
from tests.ledger.test_elections import DOCUMENT

from tetrarch.errors import ConfigInvalid
from tetrarch.ledger.fragments.pool_register import PoolRegister
from tetrarch.ledger.genesis import FirstPool, Genesis, Grant, genesis_block, read_genesis
from tetrarch.ledger.genesis_text import changed_parameters, read_genesis_text
from tetrarch.ledger.parameters import Fees, Mode, Parameters, ParametersInvalid, Rewards
from tetrarch.ledger.pools import Tax, pool_id

A, B = account_id(0), account_id(1)
POOL = pool_id(A, 3)
LEAST = 'name = "x"\nstart = 2026-12-01T12:00:00Z\n'
ALL = f"""
name = "federation"
start = 2026-12-01T13:00:00+01:00
leaders = ["{bft_public(2).hex()}"]
members = ["{bft_public(3).hex()}", "{bft_public(4).hex()}"]
rewards_pot = 7
[parameters]
mode = "praos"
slot_duration_ms = 500
slots_per_epoch = 100
fees = {{ constant = 2, per_byte = 1 }}
rewards = {{ rate_millionth = 10, treasury_millionth = 20 }}
compat = true
[[grants]]
account = "{A.hex()}"
value = 1000
pool = "{POOL.hex()}"
[[pools]]
operator = "{A.hex()}"
serial = 3
vrf_key = "{pool_keys(0).vrf.public_key.hex()}"
kes_key = "{pool_keys(0).kes_public.hex()}"
vote_key = "{bft_public(0).hex()}"
owners = ["{B.hex()}"]
tax = {{ fixed = 1, ratio_millionth = 2, limit = 3 }}
"""


def test_parameters_are_changed_by_name() -> None:
    changed = changed_parameters(
        Parameters(), {"mode": "praos", "coefficient_milli": "7", "rewards.rate_millionth": "5"}
    )
    assert changed == Parameters(
        mode=Mode.PRAOS, coefficient_milli=7, rewards=Rewards(rate_millionth=5)
    )
    for name in ("fees", "other", "fees.constant.x", "fees.other", "mode.value"):
        with pytest.raises(ParametersInvalid, match="no such"):
            changed_parameters(Parameters(), {name: "1"})
    for name, value in (("mode", "x"), ("fees.constant", "-1"), ("coefficient_milli", "0")):
        with pytest.raises(ParametersInvalid):
            changed_parameters(Parameters(), {name: value})


def test_all_of_it_is_read_and_a_chain_begins_with_it() -> None:
    genesis = read_genesis_text(ALL)
    register = PoolRegister(
        serial=3,
        vrf_key=pool_keys(0).vrf.public_key,
        kes_key=pool_keys(0).kes_public,
        vote_key=bft_public(0),
        kes_start_slot=0,
        owners=(B,),
        tax=Tax(1, 2, 3),
    )
    assert genesis == Genesis(
        start_unix_s=1_796_126_400,
        name="federation",
        parameters=Parameters(
            mode=Mode.PRAOS,
            slot_duration_ms=500,
            slots_per_epoch=100,
            fees=Fees(constant=2, per_byte=1),
            rewards=Rewards(rate_millionth=10, treasury_millionth=20),
            compat=True,
        ),
        leaders=(bft_public(2),),
        members=(bft_public(3), bft_public(4)),
        rewards_pot=7,
        grants=(Grant(A, 1000, POOL),),
        pools=(FirstPool(A, register),),
    )
    assert read_genesis(genesis_block(genesis)) == genesis


def test_what_is_not_said_has_its_default() -> None:
    genesis = read_genesis_text(LEAST)
    assert genesis.parameters == Parameters()
    for kept in (genesis.leaders, genesis.members, genesis.grants, genesis.pools):
        assert kept == ()


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("name = ", "end of document"),
        ('name = "x"', "start"),
        (LEAST + "leader = []", "leader"),
        (LEAST + 'leaders = ["00"]', r"leaders\[0\]"),
        (LEAST + 'members = ["' + "zz" * 32 + '"]', r"members\[0\]"),
        (LEAST + '[parameters]\nmode = "pow"', "mode"),
        (LEAST + "[parameters]\nslot_duration_ms = 5", "slot_duration_ms"),
        (LEAST + "[parameters]\nslot_ms = 5", "slot_ms"),
        (LEAST + f'leaders = ["{A.hex()}", "{A.hex()}"]', "twice"),
        (LEAST + f'[[grants]]\naccount = "{A.hex()}"\nvalue = -1', "value"),
        (LEAST.replace('"x"', '"' + "x" * 65 + '"'), "maximum=64"),
    ],
)
def test_what_is_wrong_is_named(text: str, named: str) -> None:
    with pytest.raises(ConfigInvalid, match=named):
        read_genesis_text(text)


ELECTED = """
members = ["{voter}"]
election = "election.json"
[parameters]
mode = "elected"
[elected]
"node1" = "{one}"
"node0" = "{zero}"
"node3" = "{three}"
"node2" = "{two}"
"""


def elected_text(**changes: str) -> str:
    keys = {
        name: bft_public(number).hex()
        for number, name in enumerate(("zero", "one", "two", "three"))
    }
    return LEAST + ELECTED.format(voter=bft_public(4).hex(), **{**keys, **changes})


def test_elected_leaders_stand_as_the_election_has_its_members() -> None:
    asked: list[str] = []

    def file(name: str) -> bytes:
        asked.append(name)
        return DOCUMENT

    genesis = read_genesis_text(elected_text(), file)
    assert asked == ["election.json"]
    assert genesis.leaders == tuple(map(bft_public, range(4)))
    assert genesis.election == DOCUMENT
    assert read_genesis(genesis_block(genesis)) == genesis


def test_an_election_without_its_file_or_with_other_members_is_none() -> None:
    with pytest.raises(ConfigInvalid, match="no such file"):
        read_genesis_text(elected_text())
    with pytest.raises(ConfigInvalid, match="a key each of node0"):
        read_genesis_text(elected_text().replace('"node3" =', '"node9" ='), lambda _: DOCUMENT)
    with pytest.raises(ConfigInvalid):
        read_genesis_text(elected_text(), lambda _: b"{}")
