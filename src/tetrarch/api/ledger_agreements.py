"""What members agreed on, as the REST interface shows it: parameters, and coins on outside networks."""

from typing import Any

from tetrarch.ledger.applying import Place
from tetrarch.ledger.custody import BURNS, NETWORKS, SUPPLY, Network
from tetrarch.ledger.fragments.parameter_vote import ParameterVote
from tetrarch.ledger.membership import voters_at
from tetrarch.ledger.parameter_votes import agreed_of
from tetrarch.ledger.parameters import Parameters, parameters_text
from tetrarch.ledger.tallies import TALLIES


def parameters_view(tip: Place) -> dict[str, Any]:
    """Those that hold, those that will, and how far votes for others are."""
    coming = [
        {"epoch": epoch, "parameters": parameters_text(parameters)}
        for epoch, parameters in agreed_of(tip.layer)
    ]
    now: Parameters = tip.settings.parameters
    return {"now": parameters_text(now), "coming": coming, "votes": _votes(tip)}


def networks_view(tip: Place) -> list[dict[str, Any]]:
    """Outside networks whose coins the members hold."""
    return [
        _network(tip, int.from_bytes(key, "big"), network)
        for key, network in NETWORKS.items(tip.layer)
    ]


def _votes(tip: Place) -> list[dict[str, Any]]:
    """The choice of each tally that has the most weight."""
    voters = voters_at(tip.layer, tip.header.chain_length)
    found = []
    for about, tally in TALLIES.items(tip.layer):
        if about[0] != ParameterVote.number:
            continue
        chosen = list(tally.choices.values())
        best = max(set(chosen), key=chosen.count)
        agreed = [voter for voter, choice in tally.choices.items() if choice == best]
        found.append(
            {
                "epoch": int.from_bytes(about[1:], "big"),
                "voters": [voter.hex() for voter in agreed],
                "votes": min(each.weight(agreed) for each in voters),
                "needed": max(each.needed for each in voters),
            }
        )
    return found


def _network(tip: Place, number: int, network: Network) -> dict[str, Any]:
    mine = number.to_bytes(4, "big")
    return {
        "network": number,
        "sessions": network.next_session,
        "signing_session": network.signing_session,
        "latest_block": network.latest if network.latest >= 0 else None,
        "blocks_without_batch": [each.block.hex() for each in network.blocks],
        "next_batch": network.next_batch,
        "supply": {
            str(key[4]): amount for key, amount in SUPPLY.items(tip.layer) if key[:4] == mine
        },
        "burns_not_planned": [
            {
                "burn": int.from_bytes(key[4:], "big"),
                "account": burnt.account.hex(),
                "coin": burnt.coin,
                "amount": burnt.amount,
                "address": burnt.address.hex(),
                "height": burnt.height,
            }
            for key, burnt in BURNS.items(tip.layer)
            if key[:4] == mine
        ],
        "planned_height": network.planned_height,
    }
