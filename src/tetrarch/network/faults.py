"""Every way in which another node can break the mesh protocol. All are counted by ``code``."""

from tetrarch.errors import PeerFault, Transient


class FrameInvalid(PeerFault):
    """Bytes that are no frame of this protocol."""

    code = "frame_invalid"


class FrameOversize(PeerFault):
    """A frame or message above its stated bound."""

    code = "frame_oversize"


class HelloMissing(PeerFault):
    """The first frame of a stream was not a hello, or did not come in time."""

    code = "hello_missing"


class ProtocolVersionDiffers(PeerFault):
    """The peer speaks no version of the protocol that we do: one of the two must be updated."""

    code = "protocol_version_differs"


class ClusterDiffers(PeerFault):
    """The peer runs another cluster's lock file."""

    code = "cluster_differs"


class IndexDiffers(PeerFault):
    """The peer claims another operator's index than its certificate proves."""

    code = "index_differs"


class CertificateUnknown(PeerFault):
    """The caller's certificate equals none of the cluster's pinned ones."""

    code = "certificate_unknown"


class DirectionWrong(PeerFault):
    """A node dialled that should have waited to be dialled: the lower index dials."""

    code = "direction_wrong"


class PeerSilent(PeerFault):
    """The peer left too many pings unanswered."""

    code = "peer_silent"


class StreamBroken(Transient):
    """The stream ended or failed: dial again, or wait to be dialled."""

    code = "stream_broken"
