"""The transport as httpx sees it, and where it does better than httpx's own."""

import asyncio
import socket
import ssl
import threading
from contextlib import suppress

import httpx
import pytest
from helpers.raw import RawServer, Reply

from syncer.transfer import dial as dial_module
from syncer.transfer.dial import Origin, dial, in_turn
from syncer.transfer.transport import BODY, ThreadTransport
from syncer.transfer.wire_head import Dialogue

GOOD = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ngood"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\ngood\r\n0\r\n\r\n"


@pytest.fixture
async def server():
    made = RawServer()
    async with await made.start():
        yield made
        await made.hang_up()


@pytest.fixture
async def client(server):
    transport = ThreadTransport(ssl.create_default_context(), 2)
    url = f"http://127.0.0.1:{server.port}"
    async with httpx.AsyncClient(transport=transport, base_url=url, timeout=20, trust_env=False) as made:
        yield made


async def test_any_user_of_httpx_can_read_it(server, client):
    server.replies = [
        Reply.of(GOOD),
        Reply.of(b"HTTP/1.1 404 No\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nno\r\n0\r\n\r\n"),
    ]
    answer = await client.get("/film")
    assert (answer.status_code, answer.reason_phrase, answer.http_version, answer.text) == (
        200,
        "OK",
        "HTTP/1.1",
        "good",
    )
    answer = await client.get("/film")
    assert (answer.status_code, answer.text) == (404, "no")


async def test_what_it_does_not_carry_it_says(client):
    with pytest.raises(httpx.UnsupportedProtocol):
        await client.post("/film", content=b"x")
    with pytest.raises(httpx.UnsupportedProtocol):
        await client.get("ws://127.0.0.1/film")


@pytest.mark.parametrize("then", ["close", "reset"])
async def test_a_kept_connection_that_dies_without_an_answer_is_replaced_unseen(server, client, then):
    server.replies = [Reply.of(GOOD, then="stay"), Reply((), then), Reply.of(GOOD)]
    await client.get("/film")
    assert (await client.get("/film")).text == "good"
    assert server.connections == 2


@pytest.mark.parametrize("then", ["close", "reset"])
async def test_a_new_one_that_does_is_not(server, client, then):
    server.replies = [Reply.of(GOOD, then="stay"), Reply((), then), Reply((), then), Reply.of(GOOD)]
    await client.get("/film")
    with pytest.raises(httpx.TransportError):
        await client.get("/film")
    assert server.connections == 2
    assert len(server.replies) == 1


async def test_an_answer_that_had_begun_is_not_asked_for_again(server, client):
    server.replies = [Reply.of(GOOD, then="stay"), Reply.of(b"HTTP/1.1 2"), Reply.of(GOOD)]
    await client.get("/film")
    with pytest.raises(httpx.RemoteProtocolError):
        await client.get("/film")
    assert len(server.replies) == 1


async def test_of_a_server_that_frames_twice_nothing_further_is_believed(server, client):
    both = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n4\r\ngood\r\n0\r\n\r\n"
    server.replies = [Reply.of(both, then="stay"), Reply.of(GOOD)]
    assert (await client.get("/film")).text == "good"
    assert (await client.get("/film")).text == "good"
    assert server.connections == 2


@pytest.mark.parametrize("framed", [GOOD, CHUNKED], ids=["counted", "chunked"])
async def test_what_is_read_behind_a_body_ends_the_connection(server, client, framed):
    false = GOOD.replace(b"good", b"evil")
    server.replies = [Reply.of(framed + false, then="stay"), Reply.of(GOOD)]
    assert (await client.get("/film")).text == "good"
    assert (await client.get("/film")).text == "good"
    assert server.connections == 2


async def test_no_more_connections_than_told_and_waiting_has_an_end(server, client):
    server.replies = [Reply.of(GOOD)] * 3
    async with client.stream("GET", "/1"), client.stream("GET", "/2"):
        with pytest.raises(httpx.PoolTimeout):
            await client.get("/3", timeout=httpx.Timeout(20, pool=0.01))
    assert (await client.get("/3")).text == "good"


async def test_an_idle_connection_makes_room_for_one_to_somewhere_else(client):
    async with await RawServer().start():
        servers = [RawServer() for _ in range(3)]
        listening = [await one.start() for one in servers]
        for one in servers:
            one.replies = [Reply.of(GOOD, then="stay")]
            assert (await client.get(f"http://127.0.0.1:{one.port}/")).text == "good"
        pool = client._transport._pool
        assert len(pool._idle) == 2
        for one, place in zip(servers, listening, strict=True):
            await one.hang_up()
            place.close()


class Gate:
    """A sink whose write can be held up."""

    def __init__(self) -> None:
        self.open, self.entered = threading.Event(), threading.Event()
        self.busy = False
        self.content = b""

    def write(self, data) -> None:
        self.busy = True
        self.entered.set()
        self.open.wait(20)
        self.content += data
        self.busy = False


async def test_cancelled_again_and_again_it_still_waits_for_the_thread(server, client):
    server.replies = [Reply.of(GOOD)]
    gate, loop = Gate(), asyncio.get_running_loop()
    async with client.stream("GET", "/film") as answer:
        pouring = asyncio.create_task(answer.extensions[BODY].pour_into(gate, lambda count: None, None))
        assert await asyncio.to_thread(gate.entered.wait, 20)
        for _ in range(3):
            pouring.cancel()
            await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert not pouring.done()
        loop.call_later(0.01, gate.open.set)
        with pytest.raises(asyncio.CancelledError):
            await pouring
        assert not gate.busy


async def test_what_progress_raises_comes_out(server, client):
    def refuse(count: int) -> None:
        raise ZeroDivisionError

    server.replies = [Reply.of(GOOD)]
    gate = Gate()
    gate.open.set()
    async with client.stream("GET", "/film") as answer:
        with pytest.raises(ZeroDivisionError):
            await answer.extensions[BODY].pour_into(gate, refuse, None)


def test_families_take_turns():
    given = [(10, "a"), (10, "b"), (2, "c"), (2, "d"), (2, "e")]
    addresses = [(family, socket.SOCK_STREAM, 6, "", (name, 1)) for family, name in given]
    assert [address[4][0] for address in in_turn(addresses)] == ["a", "c", "b", "d", "e"]


async def test_every_address_of_a_name_is_tried(server):
    """Nothing listens at ::1; where the system has it, it is the first address of localhost."""
    wire = await dial(Origin.of(httpx.URL(f"http://localhost:{server.port}")), ssl.create_default_context(), 20)
    wire.close()


async def test_an_address_that_refuses_or_does_not_answer_gives_way(server):
    good = (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", server.port))
    with socket.create_server(("127.0.0.1", 0)) as gone, socket.create_server(("127.0.0.1", 0), backlog=0) as deaf:
        refusing, silent = gone.getsockname(), deaf.getsockname()
        with socket.create_connection(silent, 5):  # its queue is full from here on
            gone.close()
            for place in (refusing, silent):
                sock = await dial_module._first([(*good[:4], place), good])
                assert sock.getpeername() == good[4]
                sock.close()
    with pytest.raises(ConnectionRefusedError):
        await dial_module._first([(*good[:4], refusing), (*good[:4], refusing)])


async def test_a_handshake_that_never_comes_has_an_end():
    with socket.create_server(("127.0.0.1", 0)) as silent:
        origin = Origin.of(httpx.URL(f"https://127.0.0.1:{silent.getsockname()[1]}"))
        with pytest.raises(httpx.ConnectTimeout):
            await dial(origin, ssl.create_default_context(), 0.1)


@pytest.mark.parametrize(("said", "is_answer"), [(b"\r\n", False), (b"\n\r\n", False), (b"\r\nH", True), (b"H", True)])
def test_an_empty_line_is_not_the_beginning_of_an_answer(said, is_answer):
    dialogue = Dialogue()
    with suppress(httpx.RemoteProtocolError):
        dialogue.feed(said)
    assert dialogue.heard == is_answer
