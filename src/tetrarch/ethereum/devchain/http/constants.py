"""Endpoints about the chain's constants: spec, fork schedule, deposit contract."""

from dataclasses import fields
from typing import Any

from aiohttp import web

from tetrarch.ethereum.devchain.chain import DevChain
from tetrarch.ethereum.devchain.config import fork_epoch, fork_version
from tetrarch.ethereum.devchain.http.answers import Face, data_answer, hexed
from tetrarch.ethereum.spec.domains import DomainType
from tetrarch.ethereum.spec.values import Fork

CHAIN_ID = 1337
DEPOSIT_CONTRACT = "0x" + "42" * 20

# Constants that the chain's rules do not use, or use by another name; clients ask for them.
_FIXED = {
    "MIN_GENESIS_ACTIVE_VALIDATOR_COUNT": "1",
    "GENESIS_DELAY": "0",
    "SECONDS_PER_ETH1_BLOCK": "14",
    "ETH1_FOLLOW_DISTANCE": "16",
    "PROPOSER_SCORE_BOOST": "40",
    "REORG_HEAD_WEIGHT_THRESHOLD": "20",
    "REORG_PARENT_WEIGHT_THRESHOLD": "160",
    "REORG_MAX_EPOCHS_SINCE_FINALIZATION": "2",
    "DEPOSIT_CHAIN_ID": str(CHAIN_ID),
    "DEPOSIT_NETWORK_ID": str(CHAIN_ID),
    "DEPOSIT_CONTRACT_ADDRESS": DEPOSIT_CONTRACT,
    "TERMINAL_TOTAL_DIFFICULTY": "0",
    "TERMINAL_BLOCK_HASH": "0x" + "00" * 32,
    "TERMINAL_BLOCK_HASH_ACTIVATION_EPOCH": str(2**64 - 1),
    "BLS_WITHDRAWAL_PREFIX": "0x00",
    "ETH1_ADDRESS_WITHDRAWAL_PREFIX": "0x01",
    "COMPOUNDING_WITHDRAWAL_PREFIX": "0x02",
    "TARGET_AGGREGATORS_PER_COMMITTEE": "16",
    "TARGET_AGGREGATORS_PER_SYNC_SUBCOMMITTEE": "16",
    "SYNC_COMMITTEE_SUBNET_COUNT": "4",
    "ATTESTATION_SUBNET_COUNT": "64",
    "ATTESTATION_PROPAGATION_SLOT_RANGE": "32",
    "ATTESTATION_SUBNET_EXTRA_BITS": "0",
    "ATTESTATION_SUBNET_PREFIX_BITS": "6",
    "SUBNETS_PER_NODE": "2",
    "EPOCHS_PER_SUBNET_SUBSCRIPTION": "256",
    "MAXIMUM_GOSSIP_CLOCK_DISPARITY": "500",
    "MAX_REQUEST_BLOCKS": "1024",
    "MAX_REQUEST_BLOCKS_DENEB": "128",
    "MAX_PAYLOAD_SIZE": "10485760",
    "MIN_EPOCHS_FOR_BLOB_SIDECARS_REQUESTS": "4096",
    "BLOB_SIDECAR_SUBNET_COUNT": "6",
    "BLOB_SIDECAR_SUBNET_COUNT_ELECTRA": "9",
    "UPDATE_TIMEOUT": "64",
    "MIN_SYNC_COMMITTEE_PARTICIPANTS": "1",
    "TIMELY_SOURCE_FLAG_INDEX": "0x00",
    "TIMELY_TARGET_FLAG_INDEX": "0x01",
    "TIMELY_HEAD_FLAG_INDEX": "0x02",
    "TIMELY_SOURCE_WEIGHT": "14",
    "TIMELY_TARGET_WEIGHT": "26",
    "TIMELY_HEAD_WEIGHT": "14",
    "SYNC_REWARD_WEIGHT": "2",
    "PROPOSER_WEIGHT": "8",
    "WEIGHT_DENOMINATOR": "64",
    "UNSET_DEPOSIT_REQUESTS_START_INDEX": str(2**64 - 1),
    "FULL_EXIT_REQUEST_AMOUNT": "0",
    "PROPOSER_REORG_CUTOFF_BPS": "1667",
    "ATTESTATION_DUE_BPS": "3333",
    "AGGREGATE_DUE_BPS": "6667",
    "SYNC_MESSAGE_DUE_BPS": "3333",
    "CONTRIBUTION_DUE_BPS": "6667",
    "NUMBER_OF_CUSTODY_GROUPS": "128",
    "CUSTODY_REQUIREMENT": "4",
    "VALIDATOR_CUSTODY_REQUIREMENT": "8",
    "SAMPLES_PER_SLOT": "8",
    "DATA_COLUMN_SIDECAR_SUBNET_COUNT": "128",
}


def spec_values(chain: DevChain) -> dict[str, Any]:
    """Every constant of the chain, as the API has them: names in capitals, values as text."""
    config, rules = chain.config, chain.rules
    values: dict[str, Any] = {
        "CONFIG_NAME": "tetrarch-devchain",
        "PRESET_BASE": rules.preset.name,
        "MIN_GENESIS_TIME": str(config.genesis_time_s),
        "SECONDS_PER_SLOT": str(max(1, config.slot_duration_ms // 1000)),
        "GENESIS_FORK_VERSION": hexed(fork_version(Fork.PHASE0)),
        **_FIXED,
        "BLOB_SCHEDULE": [],
    }
    for source in (rules.preset, rules.constants):
        for each in fields(source):
            if each.name != "name":
                values[each.name.upper()] = str(getattr(source, each.name))
    for fork in list(Fork)[1:]:
        name = fork.value.upper()
        values[f"{name}_FORK_VERSION"] = hexed(fork_version(fork))
        values[f"{name}_FORK_EPOCH"] = str(fork_epoch(config.fork, of=fork))
    for domain in DomainType:
        values[f"DOMAIN_{domain.name}"] = hexed(domain.value)
    values["DOMAIN_APPLICATION_MASK"] = hexed(DomainType.APPLICATION_BUILDER.value)
    values["DOMAIN_BLS_TO_EXECUTION_CHANGE"] = "0x0a000000"
    return values


async def spec(face: Face, _request: web.Request) -> web.Response:
    """GET /eth/v1/config/spec."""
    return data_answer(spec_values(face.chain))


async def fork_schedule(face: Face, _request: web.Request) -> web.Response:
    """GET /eth/v1/config/fork_schedule."""
    forks = [each for each in Fork if face.chain.config.fork.at_least(each)]
    return data_answer(
        [
            {
                "previous_version": hexed(fork_version(forks[max(0, place - 1)])),
                "current_version": hexed(fork_version(fork)),
                "epoch": "0",
            }
            for place, fork in enumerate(forks)
        ]
    )


async def deposit_contract(_face: Face, _request: web.Request) -> web.Response:
    """GET /eth/v1/config/deposit_contract."""
    return data_answer({"chain_id": str(CHAIN_ID), "address": DEPOSIT_CONTRACT})


async def genesis(face: Face, _request: web.Request) -> web.Response:
    """GET /eth/v1/beacon/genesis."""
    return data_answer(
        {
            "genesis_time": str(face.chain.config.genesis_time_s),
            "genesis_validators_root": hexed(face.chain.genesis_validators_root),
            "genesis_fork_version": hexed(fork_version(Fork.PHASE0)),
        }
    )
