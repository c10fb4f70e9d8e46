"""What this node says of itself, signed anew as time goes on."""

from collections.abc import Callable

from tetrarch.network.overlay.addresses import NOWHERE, Address
from tetrarch.network.overlay.identity import OverlayIdentity
from tetrarch.network.overlay.profile import Profile, sign_profile
from tetrarch.network.overlay.settings import OverlaySettings


class OwnProfile:
    """``profile`` is the newest; ``sign`` makes another. ``address`` tells what was found out of ours."""

    def __init__(
        self,
        identity: OverlayIdentity,
        settings: OverlaySettings,
        *,
        address: Callable[[], Address | None],
        now_s: Callable[[], float],
    ) -> None:
        self._identity = identity
        self._settings = settings
        self._address = address
        self._now_s = now_s
        self.profile = self._signed()

    def sign(self) -> None:
        """As of now."""
        self.profile = self._signed()

    def _signed(self) -> Profile:
        settings = self._settings
        return sign_profile(
            self._identity.sign,
            node=self._identity.node,
            time_s=int(self._now_s()),
            address=settings.public or self._address() or NOWHERE,
            interests=settings.rules.interests,
            certificate=shown_certificate(self._identity, settings),
            is_extended=settings.is_extended,
        )


def shown_certificate(identity: OverlayIdentity, settings: OverlaySettings) -> bytes:
    """SHA-256 of what others see at our address; empty without TLS."""
    own = identity.certificate_hash if settings.secured else b""
    return (*settings.proxy_certificates, own)[0]
