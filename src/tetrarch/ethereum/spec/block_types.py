"""The envelopes around a block body, the same in every fork."""

from tetrarch.ethereum.spec.presets import Preset
from tetrarch.ethereum.spec.type_table import TypeTable
from tetrarch.ssz.basic import ByteVector, bytes32, bytes48, bytes96, uint64
from tetrarch.ssz.container import Container
from tetrarch.ssz.descriptor import SszType
from tetrarch.ssz.sequence import List

BYTES_PER_FIELD_ELEMENT = 32


def signed(name: str, message: Container) -> Container:
    """``message`` with its BLS signature."""
    return Container(name, {"message": message, "signature": bytes96})


def block_types(body: Container) -> tuple[Container, ...]:
    """``body`` (full or blinded) and its BeaconBlock and SignedBeaconBlock."""
    prefix = body.name.removesuffix("BeaconBlockBody")  # "" or "Blinded"
    block = Container(
        f"{prefix}BeaconBlock",
        {
            "slot": uint64,
            "proposer_index": uint64,
            "parent_root": bytes32,
            "state_root": bytes32,
            "body": body,
        },
    )
    return body, block, signed(f"Signed{prefix}BeaconBlock", block)


def blinded_body(body: Container, payload_header: Container) -> Container:
    """``body`` with the payload's header in the payload's place.

    Source: ethereum/builder-specs, BlindedBeaconBlockBody.
    """
    fields: dict[str, SszType] = {}
    for name, each in body.fields.items():
        if name == "execution_payload":
            fields["execution_payload_header"] = payload_header
        else:
            fields[name] = each
    return Container("BlindedBeaconBlockBody", fields)


def contents_types(types: TypeTable, preset: Preset, *, proofs_per_blob: int) -> TypeTable:
    """``types`` with BlockContents and SignedBlockContents, from Deneb on.

    Source: ethereum/beacon-APIs, types/deneb and types/fulu, block_contents.yaml.
    """
    blobs_max = preset.max_blob_commitments_per_block
    blob = ByteVector(BYTES_PER_FIELD_ELEMENT * preset.field_elements_per_blob)
    rest: dict[str, SszType] = {
        "kzg_proofs": List(bytes48, proofs_per_blob * blobs_max),
        "blobs": List(blob, blobs_max),
    }
    return types.extended(
        Container("BlockContents", {"block": types.BeaconBlock, **rest}),
        Container("SignedBlockContents", {"signed_block": types.SignedBeaconBlock, **rest}),
    )
