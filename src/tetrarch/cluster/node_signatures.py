"""The operators' signatures over a file's hash: one walk for the lock and for its extension."""

from collections.abc import Iterator, Sequence

from tetrarch.cluster.definition import Operator
from tetrarch.cluster.enr import decode_enr
from tetrarch.crypto import k1
from tetrarch.errors import InputInvalid


def check_node_signatures(
    operators: Sequence[Operator], signatures: Sequence[bytes], digest: bytes, *, over: str
) -> Iterator[tuple[str, str, str]]:
    """Yield what is wrong, as code, place and problem.

    Args:
        operators: the definition's; one whose ENR does not decode is a finding of its own there.
        signatures: one of each operator, in their order.
        digest: what they signed, 32 bytes.
        over: the name of its field, for the reader.
    """
    if len(signatures) != len(operators):
        problem = f"{len(signatures)} signatures of {len(operators)} operators"
        yield "node_signatures_count_wrong", "node_signatures", problem
    for index, (operator, signature) in enumerate(zip(operators, signatures, strict=False)):
        try:
            public_key = decode_enr(operator.enr).public_key
        except InputInvalid:
            continue
        if not k1.verify(public_key, digest, signature):
            problem = f"is not by the identity of operator {index} over {over}"
            yield "node_signature_wrong", f"node_signatures[{index}]", problem
