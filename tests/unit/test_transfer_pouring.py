"""A body's buffer: there while bytes are in it, and with whoever needs it next."""

import asyncio
import socket
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import pytest

from syncer.transfer.buffers import BUFFER, Buffers
from syncer.transfer.pouring import ENOUGH, Line, Pouring
from syncer.transfer.wire import Wire
from syncer.transfer.wire_head import Counted


class Watched(Buffers):
    """How many are out, and how many there have been."""

    def __init__(self):
        super().__init__()
        self.out = 0
        self.made = set()

    def take(self):
        self.out += 1
        buffer = super().take()
        self.made.add(id(buffer))
        return buffer

    def give_back(self, buffer):
        self.out -= 1
        super().give_back(buffer)


class Kept:
    def __init__(self):
        self.content = bytearray()
        self.pieces = 0
        self.first = 0

    def write(self, data):
        self.content += data
        self.pieces += 1
        self.first = self.first or len(data)


class Full(Kept):
    def write(self, data):
        raise OSError("no room")


@pytest.fixture
def buffers():
    return Watched()


@pytest.fixture
def threads():
    with ThreadPoolExecutor(4) as pool:
        yield pool


@pytest.fixture
def pour(buffers, threads):
    """Begin to pour a body of so many bytes into a sink; the transfer, and the server's end of its wire."""
    ends = []

    def begin(length, sink, rest=b""):
        server, client = socket.socketpair()
        client.settimeout(0)
        ends.extend((server, client))
        line = Line(Wire(client), Counted(length), rest, 60, buffers, None)
        return asyncio.create_task(Pouring(line, sink, lambda count: None).carry(threads)), server

    yield begin
    for end in ends:
        end.close()


async def until(is_so):
    async with asyncio.timeout(30):
        while not is_so():  # noqa: ASYNC110 - what a thread does
            await asyncio.sleep(0.01)


async def test_who_waits_for_bytes_holds_no_buffer(pour, buffers):
    sinks = [Kept() for _ in range(4)]
    begun = [pour(200, sink) for sink in sinks]
    for _, server in begun:
        server.sendall(b"a" * 100)
    await until(lambda: all(len(sink.content) == 100 for sink in sinks))
    await until(lambda: not buffers.out)
    assert not any(task.done() for task, _ in begun)
    for task, server in begun:
        server.sendall(b"b" * 100)
        assert await task == 200
    assert [bytes(sink.content) for sink in sinks] == [b"a" * 100 + b"b" * 100] * 4


async def test_bodies_one_after_the_other_share_one_buffer(pour, buffers):
    for number in range(5):
        sink = Kept()
        task, server = pour(300, sink, rest=b"\1" * 100)
        server.sendall(bytes([number]) * 200)
        assert await task == 300
        assert sink.content == b"\1" * 100 + bytes([number]) * 200
    assert len(buffers.made) == 1


@pytest.mark.parametrize("sink", [Kept(), Full()], ids=["cancelled", "a sink that fails"])
async def test_however_it_ends_the_buffer_is_given_back(pour, buffers, sink):
    task, server = pour(BUFFER, sink)
    server.sendall(b"a" * 100)
    await until(lambda: sink.pieces or task.done())
    task.cancel()
    with suppress(asyncio.CancelledError, OSError):
        await task
    assert buffers.made
    assert not buffers.out


async def test_a_body_of_many_buffers_comes_whole_and_in_order(pour):
    content = bytes(range(256)) * (4 * BUFFER // 256)
    sink = Kept()
    task, server = pour(len(content), sink)
    sending = asyncio.to_thread(server.sendall, content)
    assert (await asyncio.gather(task, sending))[0] == len(content)
    assert sink.content == content
    assert sink.pieces >= len(content) // BUFFER  # none larger than a buffer


async def test_what_comes_fast_is_handed_over_in_whole_pages(pour, buffers):
    content = bytes(range(256)) * (ENOUGH // 256) + b"more than enough, and no whole page"
    sink = Kept()
    task, server = pour(len(content) + 2, sink, rest=content)
    server.sendall(b".")
    await until(lambda: sink.pieces)
    assert sink.first == ENOUGH
    server.sendall(b".")
    assert await task == len(content) + 2
    assert sink.content == content + b".."
    assert not buffers.out


def test_two_that_are_out_are_not_the_same_and_the_last_one_back_goes_first():
    buffers = Buffers()
    one, other = buffers.take(), buffers.take()
    assert len(one) == len(other) == BUFFER > ENOUGH
    one[0], other[0] = 1, 2
    buffers.give_back(other)
    buffers.give_back(one)
    assert [buffers.take()[0], buffers.take()[0]] == [1, 2]
