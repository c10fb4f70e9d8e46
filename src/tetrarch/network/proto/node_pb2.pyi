from tetrarch.network.proto import types_pb2 as _types_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class HandshakeRequest(_message.Message):
    __slots__ = ("nonce",)
    NONCE_FIELD_NUMBER: _ClassVar[int]
    nonce: bytes
    def __init__(self, nonce: _Optional[bytes] = ...) -> None: ...

class HandshakeResponse(_message.Message):
    __slots__ = ("version", "block0", "node_id", "signature", "nonce")
    VERSION_FIELD_NUMBER: _ClassVar[int]
    BLOCK0_FIELD_NUMBER: _ClassVar[int]
    NODE_ID_FIELD_NUMBER: _ClassVar[int]
    SIGNATURE_FIELD_NUMBER: _ClassVar[int]
    NONCE_FIELD_NUMBER: _ClassVar[int]
    version: int
    block0: bytes
    node_id: bytes
    signature: bytes
    nonce: bytes
    def __init__(self, version: _Optional[int] = ..., block0: _Optional[bytes] = ..., node_id: _Optional[bytes] = ..., signature: _Optional[bytes] = ..., nonce: _Optional[bytes] = ...) -> None: ...

class ClientAuthRequest(_message.Message):
    __slots__ = ("node_id", "signature")
    NODE_ID_FIELD_NUMBER: _ClassVar[int]
    SIGNATURE_FIELD_NUMBER: _ClassVar[int]
    node_id: bytes
    signature: bytes
    def __init__(self, node_id: _Optional[bytes] = ..., signature: _Optional[bytes] = ...) -> None: ...

class ClientAuthResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class TipRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class TipResponse(_message.Message):
    __slots__ = ("block_header",)
    BLOCK_HEADER_FIELD_NUMBER: _ClassVar[int]
    block_header: bytes
    def __init__(self, block_header: _Optional[bytes] = ...) -> None: ...

class PeersRequest(_message.Message):
    __slots__ = ("limit",)
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    limit: int
    def __init__(self, limit: _Optional[int] = ...) -> None: ...

class PeersResponse(_message.Message):
    __slots__ = ("peers",)
    PEERS_FIELD_NUMBER: _ClassVar[int]
    peers: _containers.RepeatedScalarFieldContainer[bytes]
    def __init__(self, peers: _Optional[_Iterable[bytes]] = ...) -> None: ...

class PullHeadersRequest(_message.Message):
    __slots__ = ("to",)
    FROM_FIELD_NUMBER: _ClassVar[int]
    TO_FIELD_NUMBER: _ClassVar[int]
    to: bytes
    def __init__(self, to: _Optional[bytes] = ..., **kwargs) -> None: ...

class PullBlocksRequest(_message.Message):
    __slots__ = ("to",)
    FROM_FIELD_NUMBER: _ClassVar[int]
    TO_FIELD_NUMBER: _ClassVar[int]
    to: bytes
    def __init__(self, to: _Optional[bytes] = ..., **kwargs) -> None: ...

class PullBlocksToTipRequest(_message.Message):
    __slots__ = ()
    FROM_FIELD_NUMBER: _ClassVar[int]
    def __init__(self, **kwargs) -> None: ...

class PushHeadersResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class UploadBlocksResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class BlockEvent(_message.Message):
    __slots__ = ("announce", "solicit", "missing")
    ANNOUNCE_FIELD_NUMBER: _ClassVar[int]
    SOLICIT_FIELD_NUMBER: _ClassVar[int]
    MISSING_FIELD_NUMBER: _ClassVar[int]
    announce: _types_pb2.Header
    solicit: _types_pb2.BlockIds
    missing: PullHeadersRequest
    def __init__(self, announce: _Optional[_Union[_types_pb2.Header, _Mapping]] = ..., solicit: _Optional[_Union[_types_pb2.BlockIds, _Mapping]] = ..., missing: _Optional[_Union[PullHeadersRequest, _Mapping]] = ...) -> None: ...

class Gossip(_message.Message):
    __slots__ = ("nodes",)
    NODES_FIELD_NUMBER: _ClassVar[int]
    nodes: _containers.RepeatedScalarFieldContainer[bytes]
    def __init__(self, nodes: _Optional[_Iterable[bytes]] = ...) -> None: ...
