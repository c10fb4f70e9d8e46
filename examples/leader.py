"""One of several copies of this program works; the others wait until it is gone.

Run it three times, each in a terminal of its own:

    python examples/leader.py 5000 5001 5002
    python examples/leader.py 5001 5000 5002
    python examples/leader.py 5002 5000 5001

Stop the one that works, and another one goes on within seconds. The first number is the own port.
"""

import asyncio
import sys
from pathlib import Path

import tetrarch.election
from tetrarch.election.quorums import Mode


async def work(campaign: tetrarch.election.Campaign, term: int) -> None:
    """What only one may do. ``term`` fences: who stores it can refuse a former leader's writes."""
    number = 0
    while campaign.holds_lease():
        number += 1
        print(f"term {term}: step {number}", flush=True)
        await asyncio.sleep(0.5)


async def main(own: str, others: list[str]) -> None:
    """Work whenever this copy leads."""
    async with tetrarch.election.campaign(
        f"127.0.0.1:{own}",
        [f"127.0.0.1:{other}" for other in others],
        folder=Path(f"leader-{own}"),
        mode=Mode.CRASH,
        lease_ms=1000,
    ) as campaign:
        async for leading in campaign.leaders():
            print(f"{leading.leader} leads in term {leading.term}", flush=True)
            while leading.is_own and campaign.leading == leading:
                await work(campaign, leading.term)
                await asyncio.sleep(0.1)


if __name__ == "__main__":
    try:
        asyncio.run(main(sys.argv[1], sys.argv[2:]))
    except KeyboardInterrupt:
        pass
