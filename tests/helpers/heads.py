"""Our reader of heads and framing, and h11 alone, over the same bytes cut the same way."""

import h11
import httpx
from helpers.raw import Reply

from syncer.transfer.wire_head import Dialogue


def check_reader(data: bytes, places: list[int]) -> None:
    """Head, body, whether the connection may go on, or an error: the same from our reader as from h11 alone."""
    pieces = Reply.of(data, *places).pieces
    assert _read_by_us(pieces) == _read_by_h11(pieces)


def _read_by_us(pieces: tuple[bytes, ...]) -> tuple:
    dialogue, head, body = Dialogue(), None, b""
    try:
        for piece in (*pieces, b""):
            if head is None:
                head = dialogue.feed(piece)
                piece = head.rest if head else b""  # noqa: PLW2901
                if not piece:
                    continue
            if head.framing.ended:
                break
            if not piece:
                head.framing.eof()
            else:
                for part in head.framing.take(piece):
                    body += part
    except httpx.RemoteProtocolError:
        return _shown(head, keeps=bool(head and head.keeps)), body, "error"
    return _shown(head, keeps=bool(head and head.keeps)), body, head is not None and head.framing.ended


def _read_by_h11(pieces: tuple[bytes, ...]) -> tuple:
    connection, head, body = h11.Connection(h11.CLIENT, max_incomplete_event_size=100 * 1024), None, b""
    keeps = False
    connection.send(h11.Request(method="GET", target="/", headers=[("Host", "x")]))
    connection.send(h11.EndOfMessage())
    try:
        for piece in (*pieces, b""):
            if not piece and head is None:
                raise h11.RemoteProtocolError("nothing was said")  # noqa: TRY301
            connection.receive_data(piece)
            while (event := connection.next_event()) is not h11.NEED_DATA:
                match event:
                    case h11.Response():
                        names = {name for name, _ in event.headers}
                        twice = {b"content-length", b"transfer-encoding"} <= names
                        head, keeps = event, connection.our_state is not h11.MUST_CLOSE and not twice
                    case h11.Data(data=part):
                        body += part
                    case h11.EndOfMessage() | h11.PAUSED:
                        return _shown(head, keeps=keeps), body, True
    except h11.RemoteProtocolError:
        return _shown(head, keeps=keeps), body, "error"
    return _shown(head, keeps=keeps), body, False


def _shown(head, *, keeps: bool) -> tuple | None:
    if head is None:
        return None
    if isinstance(head, h11.Response):
        return head.status_code, head.reason, b"HTTP/" + head.http_version, head.headers.raw_items(), keeps
    return head.status, head.reason, head.version, head.headers, keeps
