"""What the sandbox saw: a record of every request, and sums over them."""

import threading
from collections import Counter, deque
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any

from syncer.sandbox.faults import Kind, Op

KEPT = 50_000  # records at most; sums cover all requests


@dataclass(slots=True)
class Seen:
    """One request. Counts are of what the server handed to the network, not of what arrived.

    A record is brought up to date before the bytes it counts are handed over, so a client that has them reads a
    record that has them too.
    """

    at: datetime
    kind: Kind
    op: Op
    method: str
    path: str  # without the query: a signed link's query is a password
    query: dict[str, str]  # of API requests only
    job_id: str | None
    port: int  # the client's; equal ports are one connection
    token: bool  # an x-access-token header came with it
    headers: dict[str, str] = field(default_factory=dict)  # those of interest, names in lower case
    status: int = 0  # 0: not answered yet
    body_bytes: int = 0
    faults: tuple[str, ...] = ()
    generation: int = 0  # of the link a storage request came with: one more for each renewal
    over: bool = False  # nothing more will be sent

    @property
    def range(self) -> str | None:
        """The Range header."""
        return self.headers.get("range")

    @property
    def if_range(self) -> str | None:
        """The If-Range header."""
        return self.headers.get("if-range")


OF_INTEREST = ("range", "if-range", "user-agent", "x-videodb-client", "accept-encoding", "host", "connection")


class RequestLog:
    """Records of requests and sums over them, readable from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.clear()

    def clear(self) -> None:
        """Forgets everything seen so far."""
        with self._lock:
            self._seen: deque[Seen] = deque(maxlen=KEPT)
            self._counts: Counter[str] = Counter()
            self._open: Counter[Kind] = Counter()
            self._peak: Counter[Kind] = Counter()

    def begin(self, seen: Seen) -> None:
        """Takes a request in when it comes."""
        with self._lock:
            self._seen.append(seen)
            self._counts[f"{seen.kind}.requests"] += 1
            self._counts[f"{seen.kind}.{seen.op}"] += 1
            self._open[seen.kind] += 1
            self._peak[seen.kind] = max(self._peak[seen.kind], self._open[seen.kind])
            if seen.kind is Kind.STORAGE and seen.token:
                self._counts["token_leaks"] += 1

    def status(self, seen: Seen, status: int) -> None:
        """Notes the status that is about to be sent."""
        with self._lock:
            seen.status = status
            self._counts[f"{seen.kind}.status.{status}"] += 1

    def body(self, seen: Seen, count: int) -> None:
        """Notes bytes of body that are about to be sent."""
        with self._lock:
            seen.body_bytes += count
            self._counts[f"{seen.kind}.bytes"] += count

    def end(self, seen: Seen) -> None:
        """Notes that the answer is over, whole or not."""
        with self._lock:
            seen.over = True
            self._open[seen.kind] -= 1

    @property
    def token_leaks(self) -> int:
        """Requests to the storage that carried the API key. Anything above 0 is a client's grave fault."""
        with self._lock:
            return self._counts["token_leaks"]

    def requests(self, kind: Kind | None = None, op: Op | None = None, job_id: str | None = None) -> list[Seen]:
        """The records, oldest first, of this kind, operation and job."""
        with self._lock:
            return [
                seen
                for seen in self._seen
                if kind in (None, seen.kind) and op in (None, seen.op) and job_id in (None, seen.job_id)
            ]

    def peak(self, kind: Kind) -> int:
        """How many requests of this kind were being answered at once, at most."""
        with self._lock:
            return self._peak[kind]

    def stats(self, last: int = 1000) -> dict[str, Any]:
        """Sums and the last records as plain JSON values."""
        with self._lock:
            return {
                "token_leaks": self._counts["token_leaks"],
                "counts": dict(sorted(self._counts.items())),
                "peak": {str(kind): count for kind, count in self._peak.items()},
                "requests": [asdict(seen) | {"at": seen.at.isoformat()} for seen in list(self._seen)[-last:]],
            }
