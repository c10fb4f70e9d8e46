"""The consensus specification's own Python types: what ours must equal."""

from importlib import import_module
from typing import Any

from remerkleable.basic import uint64
from remerkleable.byte_arrays import ByteVector
from remerkleable.complex import Container, List

from tetrarch.ethereum.spec.values import Fork


def spec(fork: Fork, preset: str) -> Any:
    return import_module(f"eth_consensus_specs.{fork.value}.{preset}")


def oracle_type(fork: Fork, preset: str, name: str) -> Any:
    """The oracle's class ``name``; builder and API types are put together from the spec's."""
    module = spec(fork, preset)
    if hasattr(module, name):
        return getattr(module, name)
    if name in ("PendingAttestation", "HistoricalBatch"):  # dropped later; ours keeps them
        return getattr(spec(Fork.PHASE0, preset), name)
    return _extra_types(module, fork)[name]


def _container(name: str, fields: dict[str, Any]) -> Any:
    return type(name, (Container,), {"__annotations__": fields})


def _extra_types(module: Any, fork: Fork) -> dict[str, Any]:
    registration = _container(
        "ValidatorRegistration",
        {
            "fee_recipient": module.ExecutionAddress,
            "gas_limit": uint64,
            "timestamp": uint64,
            "pubkey": module.BLSPubkey,
        },
    )
    fields = {
        ("execution_payload_header" if name == "execution_payload" else name): (
            module.ExecutionPayloadHeader if name == "execution_payload" else kind
        )
        for name, kind in module.BeaconBlockBody.fields().items()
    }
    body = _container("BlindedBeaconBlockBody", fields)
    block = _container("BlindedBeaconBlock", {**module.BeaconBlock.fields(), "body": body})
    types = {
        "ValidatorRegistration": registration,
        "SignedValidatorRegistration": _container(
            "SignedValidatorRegistration",
            {"message": registration, "signature": module.BLSSignature},
        ),
        "BlindedBeaconBlockBody": body,
        "BlindedBeaconBlock": block,
        "SignedBlindedBeaconBlock": _container(
            "SignedBlindedBeaconBlock", {"message": block, "signature": module.BLSSignature}
        ),
    }
    if fork.at_least(Fork.DENEB):
        per_blob = module.CELLS_PER_EXT_BLOB if fork.at_least(Fork.FULU) else 1
        limit = module.MAX_BLOB_COMMITMENTS_PER_BLOCK
        if fork.at_least(Fork.FULU):  # the beacon API's limit, wider than the cells need
            per_blob = module.FIELD_ELEMENTS_PER_EXT_BLOB
        blob = ByteVector[module.BYTES_PER_FIELD_ELEMENT * module.FIELD_ELEMENTS_PER_BLOB]
        rest = {"kzg_proofs": List[module.KZGProof, per_blob * limit], "blobs": List[blob, limit]}
        types["BlockContents"] = _container("BlockContents", {"block": module.BeaconBlock, **rest})
        types["SignedBlockContents"] = _container(
            "SignedBlockContents", {"signed_block": module.SignedBeaconBlock, **rest}
        )
    return types
