"""Do the public shares of one threshold key belong together?"""

from collections.abc import Iterator, Sequence

from tetrarch.crypto.bls import BlsInputInvalid, PublicKeyPoint
from tetrarch.crypto.threshold import SharesInconsistent, recover_public_key


def check_public_shares(
    root: bytes, shares: Sequence[bytes], *, share_count: int, threshold: int
) -> Iterator[tuple[str, str, str]]:
    """Yield (code, where, problem) for whatever is wrong with a root key and its public shares.

    Args:
        root: 48 bytes, the root public key; its ``where`` is ``root``.
        shares: ``shares[i]`` belongs to share index i + 1; ``where`` is ``public_shares[i]``.
        share_count: how many there must be.
        threshold: how many recover the root key.
    """
    whole = len(shares) == share_count
    if not whole:
        yield "share_count_wrong", "public_shares", f"{len(shares)} shares of {share_count} nodes"
    try:
        PublicKeyPoint.parse(root)
    except BlsInputInvalid as error:
        yield "key_invalid", "root", f"is no public key: {error.code}"
        whole = False
    points = {}
    for index, share in enumerate(shares):
        try:
            points[index + 1] = PublicKeyPoint.parse(share)
        except BlsInputInvalid as error:
            yield "key_invalid", f"public_shares[{index}]", f"is no public key: {error.code}"
            whole = False
    if not whole or not 1 <= threshold <= share_count:
        return
    try:
        recovered = recover_public_key(points, threshold=threshold).to_bytes()
    except SharesInconsistent as error:
        yield (
            "shares_inconsistent",
            "public_shares",
            f"are not shares of one key: share {error.fields['index']} does not fit the first {threshold}",
        )
        return
    if recovered != root:
        yield "shares_of_another_key", "public_shares", "recover another root key"
