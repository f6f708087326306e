"""Messages between two processes: JSON over a pair of sockets, all that one turn of the event loop brings at once."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any

Message = list[Any]
"""Its kind, and what that kind needs."""

LONGEST = 64 * 1024 * 1024
"""Bytes of the messages of one turn."""

_JSON = json.JSONEncoder(separators=(",", ":"), check_circular=False)


class Channel:
    """One end. What is sent after the other end has gone is lost: `messages` tells of that."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._loop = asyncio.get_running_loop()
        self._unsent: list[Message] = []
        self._is_finished = False

    @classmethod
    async def over(cls, end: socket.socket) -> "Channel":
        """Takes the socket over."""
        return cls(*await asyncio.open_connection(sock=end, limit=LONGEST))

    def send(self, *message: Any) -> None:
        """Goes out at the end of this turn, in order."""
        if not self._unsent:
            self._loop.call_soon(self._flush)
        self._unsent.append(list(message))

    async def messages(self) -> AsyncIterator[Message]:
        """All that come, until the other end is closed or its process is no more."""
        with suppress(OSError, ValueError):  # a line cut short by a kill is the last one
            while line := await self._reader.readline():
                for message in json.loads(line):
                    yield message

    def finish(self) -> None:
        """Say no more, and let the other end know; what it still says is heard."""
        if not self._is_finished and not self._writer.is_closing():
            self._flush()
            self._writer.write_eof()
            self._is_finished = True

    async def drain(self) -> None:
        """Returns once all that was sent is on its way, or the other end has gone."""
        self._flush()
        with suppress(OSError):
            await self._writer.drain()

    def close(self) -> None:
        """Let go of it."""
        self._writer.close()

    def _flush(self) -> None:
        unsent, self._unsent = self._unsent, []
        if unsent and not self._is_finished and not self._writer.is_closing():
            self._writer.write(_JSON.encode(unsent).encode("ascii") + b"\n")
