"""Calls about validators themselves: that they leave, and where their builders' blocks pay."""

from tetrarch.ethereum.beacon_node.http import Exchange
from tetrarch.ethereum.beacon_node.posts import post, post_in_batches
from tetrarch.ethereum.spec.messages import SignedValidatorRegistration, SignedVoluntaryExit


async def submit_exit(exchange: Exchange, signed: SignedVoluntaryExit) -> None:
    """Publish a voluntary exit."""
    await post(exchange, "/eth/v1/beacon/pool/voluntary_exits", signed.to_json())


async def register_validators(
    exchange: Exchange, registrations: tuple[SignedValidatorRegistration, ...]
) -> None:
    """Tell builders, through the node, where the validators' blocks pay."""

    async def post_batch(batch: tuple[SignedValidatorRegistration, ...]) -> None:
        value = [each.to_json() for each in batch]
        await post(exchange, "/eth/v1/validator/register_validator", value)

    await post_in_batches(registrations, post_batch)
