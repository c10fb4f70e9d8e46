"""What all endpoints share: the chain they serve, content types, error bodies, parameters."""

import json
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from tetrarch.clock import Clock
from tetrarch.errors import InputInvalid
from tetrarch.ethereum.devchain.chain import DevChain
from tetrarch.ethereum.devchain.state import State
from tetrarch.ethereum.devchain.tree import Node, StateForgotten
from tetrarch.ethereum.spec.values import parse_hex, parse_uint64
from tetrarch.ssz.descriptor import SszType

JSON = "application/json"
SSZ = "application/octet-stream"
VERSION = "Eth-Consensus-Version"
BODY_MAX_BYTES = 1 << 24
LINE_MAX_BYTES = 1 << 16  # a request line that asks for 640 validators by their keys
NAMED_IDS = ("head", "genesis", "finalized", "justified")


class NotFound(InputInvalid):
    """What was asked for does not exist: 404."""

    code = "devchain_not_found"


class WrongMediaType(InputInvalid):
    """A body of a kind that the endpoint does not read: 415."""

    code = "devchain_wrong_media_type"


@dataclass(frozen=True, slots=True)
class Face:
    """One served chain."""

    chain: DevChain
    clock: Clock

    def now_s(self) -> float:
        """Unix seconds; the chain has been advanced to them."""
        now_s = self.clock.wall_s()
        self.chain.advance(now_s)
        return now_s

    def node_of(self, block_id: str) -> Node:
        """The block that a block id names.

        Raises:
            InputInvalid: not an id.
            NotFound: no such block.
        """
        chain = self.chain
        if block_id in NAMED_IDS:
            roots = {
                "head": chain.head.root,
                "genesis": chain.tree.genesis.root,
                "finalized": chain.finalized[1],
                "justified": chain.justified[1],
            }
            node = chain.tree.get(roots[block_id])
        elif block_id.startswith("0x"):
            node = chain.tree.get(parse_hex(block_id, size_bytes=32, what="block_id"))
        else:
            slot = parse_uint64(block_id, what="block_id")
            node = chain.tree.ancestor(chain.head.root, slot)
            node = node if node.slot == slot else None
        if node is None:
            raise NotFound("find block", id=block_id)
        return node

    def state_of(self, state_id: str) -> tuple[State, bool]:
        """The state that a state id names, and whether it is final.

        Raises:
            InputInvalid: not an id.
            NotFound: no such state, or no longer kept.
        """
        chain = self.chain
        slot = 0
        if state_id.startswith("0x"):
            root = parse_hex(state_id, size_bytes=32, what="state_id")
            found = [node for node in chain.tree.nodes() if node.state_root == root]
            if not found:
                raise NotFound("find state", id=state_id)
            node = found[0]
        elif state_id in NAMED_IDS:
            node = self.node_of(state_id)
            slot = max(chain.slot, 0) if state_id == "head" else 0
        else:
            slot = parse_uint64(state_id, what="state_id")
            if slot > max(chain.slot, 0):
                raise NotFound("find state", id=state_id)
            node = chain.tree.ancestor(chain.head.root, slot)
        try:
            return chain.tree.state_at(node.root, slot), self.is_final(node)
        except StateForgotten:
            raise NotFound("find state", id=state_id, reason="no longer kept") from None

    def is_final(self, node: Node) -> bool:
        """Whether the block is finalized."""
        return self.chain.tree.is_ancestor(node.root, self.chain.finalized[1])


Handler = Callable[[Face, web.Request], Awaitable[web.StreamResponse]]
FACE: web.AppKey[Face] = web.AppKey("face", Face)


def handler(function: Handler) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    """``function`` as aiohttp calls it; the chain is advanced first."""

    async def handle(request: web.Request) -> web.StreamResponse:
        face = request.app[FACE]
        face.now_s()
        return await function(face, request)

    return handle


def hexed(data: bytes) -> str:
    """``0x`` and hex."""
    return "0x" + data.hex()


def json_answer(
    value: object, *, status: int = 200, headers: dict[str, str] | None = None
) -> web.Response:
    """A JSON body."""
    body = json.dumps(value, separators=(",", ":")).encode()
    return web.Response(body=body, status=status, content_type=JSON, headers=headers)


def data_answer(data: object, **beside: object) -> web.Response:
    """``{"data": ...}`` with members beside it."""
    return json_answer({**beside, "data": data})


def error_answer(status: int, message: str, **more: object) -> web.Response:
    """The API's error body."""
    return json_answer({"code": status, "message": message, **more}, status=status)


def wants_ssz(request: web.Request) -> bool:
    """Whether the caller prefers SSZ to JSON."""
    weights = {JSON: 0.0, SSZ: 0.0}
    for part in request.headers.get("Accept", "").split(","):
        kind, *parameters = (piece.strip() for piece in part.split(";"))
        weight = 1.0
        for parameter in parameters:
            if parameter.startswith("q="):
                try:
                    weight = float(parameter[2:])
                except ValueError:
                    weight = 0.0
        if kind in weights:
            weights[kind] = max(weights[kind], weight)
    return weights[SSZ] > weights[JSON]


def versioned_answer(
    face: Face,
    request: web.Request,
    kind: SszType,
    value: object,
    *,
    headers: dict[str, str] | None = None,
    **beside: object,
) -> web.Response:
    """A spec value as SSZ or JSON, with its fork's name."""
    version = face.chain.config.fork.value
    all_headers = {VERSION: version, **(headers or {})}
    if wants_ssz(request):
        body = kind.encode(value)
        return web.Response(body=body, content_type=SSZ, headers=all_headers)
    content = {"version": version, **beside, "data": kind.to_json(value)}
    return json_answer(content, headers=all_headers)


async def read_json(request: web.Request) -> Any:
    """The request's JSON body.

    Raises:
        WrongMediaType, InputInvalid.
    """
    if request.content_type != JSON:
        raise WrongMediaType("read body", got=request.content_type)
    return parse_json(await request.read())


def parse_json(body: bytes) -> Any:
    """Decode JSON; raises InputInvalid."""
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        raise InputInvalid("read body", reason="not JSON") from None


async def read_value(request: web.Request, kind: SszType) -> Any:
    """The request's body, SSZ or JSON, as a value of ``kind``."""
    if request.content_type == SSZ:
        return kind.decode(await request.read())
    return kind.from_json(await read_json(request))


async def read_list(request: web.Request, *, length_max: int = 1 << 17) -> list[Any]:
    """The request's JSON array."""
    value = await read_json(request)
    if not isinstance(value, list) or len(value) > length_max:
        raise InputInvalid("read body", reason="expected an array", length_max=length_max)
    return value


def check_version(face: Face, request: web.Request, *, required: bool = False) -> None:
    """Refuse another fork's header, or none where it is required; raises InputInvalid."""
    version = request.headers.get(VERSION)
    if version is None and required:
        raise InputInvalid("read header", field=VERSION, reason="missing")
    if version is not None and version != face.chain.config.fork.value:
        raise InputInvalid("read header", field=VERSION, got=version[:32])


def query_number(request: web.Request, name: str, default: int | None = None) -> int:
    """A query parameter that is a number; required without ``default``."""
    text = request.query.get(name)
    if text is None:
        if default is None:
            raise InputInvalid("read query", field=name, reason="missing")
        return default
    return parse_uint64(text, what=name)


def path_number(request: web.Request, name: str) -> int:
    """A number in the path."""
    return parse_uint64(request.match_info[name], what=name)


def query_items(request: web.Request, name: str) -> list[str]:
    """A repeated or comma-separated query parameter."""
    return [item for value in request.query.getall(name, []) for item in value.split(",") if item]


def failures_answer(failures: Iterable[tuple[int, Exception]]) -> web.Response:
    """200, or 400 with the index and reason of every failed item."""
    listed = [{"index": index, "message": str(error)} for index, error in failures]
    if not listed:
        return web.Response(status=200)
    return error_answer(400, "some failures", failures=listed)
