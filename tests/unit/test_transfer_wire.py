"""What one read of a connection over TLS gives: all records that are there, and what ended them afterwards."""

import socket
import ssl
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from syncer.transfer.wire import Wire
from tests.helpers.certificate import vouched

SENT = bytes(range(250)) * 160  # three records of TLS


@pytest.fixture
def ends(tmp_path):
    """Our wire, and the server's end of it, hands shaken."""
    context, bundle = vouched(tmp_path)
    near, far = socket.socketpair()
    with ThreadPoolExecutor(1) as pool:
        accepted = pool.submit(context.wrap_socket, far, server_side=True)
        client = ssl.create_default_context(cafile=bundle).wrap_socket(near, server_hostname="localhost")
        server = accepted.result()
    client.settimeout(0)
    with client, server:
        yield Wire(client), server


@pytest.fixture
def view():
    return memoryview(bytearray(4 * len(SENT)))


def test_all_records_that_are_there_come_at_once(ends, view):
    wire, server = ends
    server.sendall(SENT)
    assert wire.receive_into(view) == len(SENT)
    assert view[: len(SENT)] == SENT
    assert wire.receive_into(view) is None
    server.sendall(SENT)
    assert wire.receive_into(view) == len(SENT)


def test_no_more_is_taken_than_there_is_room_for(ends, view):
    wire, server = ends
    server.sendall(SENT)
    assert wire.receive_into(view[:20_000]) == 20_000
    assert wire.receive_into(view[20_000:]) == len(SENT) - 20_000
    assert view[: len(SENT)] == SENT


def test_the_end_is_told_after_the_bytes_before_it(ends, view):
    wire, server = ends
    server.sendall(SENT)
    server.close()
    assert wire.receive_into(view) == len(SENT)
    assert wire.receive_into(view) == 0


def test_a_break_is_told_after_the_bytes_before_it(ends, view):
    wire, server = ends
    server.sendall(SENT)
    socket.socket.sendall(server, b"wrong")  # as long as the head of a record, which is all that is read of it
    assert wire.receive_into(view) == len(SENT)
    assert view[: len(SENT)] == SENT
    assert wire.is_stale()
    for _ in range(2):
        with pytest.raises(httpx.ReadError):
            wire.receive_into(view)
