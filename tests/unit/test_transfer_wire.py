"""What one read of a connection over TLS gives: all records that are there, and what ended them afterwards."""

import asyncio
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


@pytest.fixture
def plain():
    """A wire without TLS, and the server's end of it."""
    near, far = socket.socketpair()
    near.settimeout(0)
    wire = Wire(near)
    with far:
        yield wire, far
    wire.close()


async def answered(wire, server, most=100):
    await wire.send(b"question", 10)
    server.sendall(b"answer")
    return await wire.answer(most, 10)


async def test_it_is_used_again_and_again(plain):
    wire, server = plain
    for _ in range(3):
        assert await answered(wire, server) == b"answer"
        for _ in range(3):
            await asyncio.sleep(0)
        assert not wire.is_stale()


@pytest.mark.parametrize("end", [False, True])
async def test_what_comes_while_it_rests_makes_it_stale(plain, end):
    wire, server = plain
    await answered(wire, server)
    if end:
        server.shutdown(socket.SHUT_WR)
    else:
        server.sendall(b"more")
    for _ in range(3):
        await asyncio.sleep(0)
    assert wire.is_stale()


async def test_what_came_unasked_is_seen_though_the_event_loop_had_no_turn_since(plain):
    """It would be taken for the next answer (I6)."""
    wire, server = plain
    await answered(wire, server)
    server.sendall(b"HTTP/1.1 200 OK")
    assert wire.is_stale()


async def test_an_end_that_nobody_waits_for_keeps_nobody_busy(plain):
    wire, server = plain
    await answered(wire, server)
    server.shutdown(socket.SHUT_WR)
    for _ in range(3):
        await asyncio.sleep(0)
    assert not asyncio.get_running_loop().remove_reader(wire._sock.fileno())
    assert wire.is_stale()


def test_another_event_loop_may_go_on_with_it(plain):
    wire, server = plain
    for _ in range(2):
        assert asyncio.run(answered(wire, server)) == b"answer"


async def test_what_was_not_read_of_an_answer_makes_it_stale_at_once(plain):
    wire, server = plain
    assert await answered(wire, server, most=3) == b"ans"
    assert wire.is_stale()


async def test_what_a_thread_left_makes_it_stale_at_once(plain, view):
    wire, server = plain
    await answered(wire, server)
    wire.leave()
    server.sendall(b"body, and more")
    assert wire.receive_into(view[:4]) == 4
    assert wire.is_stale()


async def test_what_comes_before_it_is_waited_for_is_not_lost(plain):
    """Nor does it keep the event loop busy meanwhile."""
    wire, server = plain
    await answered(wire, server)
    server.sendall(b"body")
    for _ in range(3):
        await asyncio.sleep(0)
    assert await wire.receive(100, 10) == b"body"
    assert not wire.is_stale()


async def test_a_break_while_it_is_waited_for_is_told(plain):
    wire, server = plain
    await wire.send(b"question", 10)
    waits = asyncio.create_task(wire.answer(100, 10))
    await asyncio.sleep(0)
    server.close()  # with what it did not read
    with pytest.raises(httpx.ReadError):
        await waits
