"""The nodes of a cluster are privileged on the overlay: they tell each other who they are there.

Along the mesh each asks the others for their profiles, so that a node that nobody trusts beside its cluster finds the
overlay by them, and keeps links with them whatever else it loses. Profiles are signed by the overlay's keys;
the mesh says whose they are.
"""

import asyncio

from tetrarch.errors import PeerFault
from tetrarch.network.overlay.overlay import Overlay
from tetrarch.network.overlay.profile import (
    PROFILE_MAX_BYTES,
    Profile,
    ProfileInvalid,
    check_signature,
    decode_profile,
)
from tetrarch.network.requests import PeerSilent, Requests, Subject
from tetrarch.observability.logs import Log

INTERVAL_S = 60.0
FIRST_INTERVAL_S = 2.0  # until all have answered
TIMEOUT_S = 5.0


class ClusterNodes:
    """Asks and answers. Build it before the bus starts."""

    def __init__(
        self, overlay: Overlay, requests: Requests, *, peers: tuple[int, ...], log: Log
    ) -> None:
        self._overlay = overlay
        self._requests = requests
        self._peers = peers
        self._log = log
        self._profiles: dict[int, Profile] = {}  # by peer
        requests.serve(Subject.OVERLAY_PROFILE, self._answer)

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            async with asyncio.TaskGroup() as tasks:
                for peer in self._peers:
                    tasks.create_task(self._ask(peer), name=f"overlay-profile-{peer}")
            complete = len(self._profiles) == len(self._peers)
            await asyncio.sleep(INTERVAL_S if complete else FIRST_INTERVAL_S)

    async def _ask(self, peer: int) -> None:
        own = self._overlay.profile.record
        try:
            answer = await self._requests.ask(
                peer, Subject.OVERLAY_PROFILE, own, timeout_s=TIMEOUT_S
            )
        except PeerSilent:  # away, or without an overlay
            return
        self._note(peer, answer)

    async def _answer(self, peer: int, body: bytes) -> bytes | None:
        return self._overlay.profile.record if self._note(peer, body) else None

    def _note(self, peer: int, record: bytes) -> bool:
        """Whether it is a profile."""
        try:
            profile = _read(record)
        except PeerFault as fault:
            self._log.warning("overlay_profile_refused", peer=peer, reason=str(fault))
            return False
        before = self._profiles.get(peer)
        self._profiles[peer] = profile
        if before is None or before.record != record:
            self._overlay.privilege(tuple(self._profiles.values()))
        return True


def _read(record: bytes) -> Profile:
    if len(record) > PROFILE_MAX_BYTES:
        raise ProfileInvalid("read profile", size_bytes=len(record), maximum=PROFILE_MAX_BYTES)
    profile = decode_profile(record)
    check_signature(profile)
    return profile
