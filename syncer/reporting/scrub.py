"""Takes the secrets out of a log entry, whatever shape they come in: the last step before it is rendered (I10)."""

from collections.abc import Mapping, MutableMapping
from collections.abc import Set as AbstractSet
from datetime import datetime
from typing import Any

from syncer.core.redact import redact

SHORTEST = 6
"""Characters of a secret, at the least: hiding a shorter one would only garble everything else."""

DEEPEST = 6
"""Levels of nesting kept as they are; what lies deeper is written as text."""


class Scrubber:
    """A structlog processor: every text in the entry, keys included, has gone through `core.redact`.

    What is neither text nor number becomes text first, so that no object can bring a secret past it.
    """

    def __init__(self) -> None:
        self._secrets: tuple[str, ...] = ()

    def protect(self, secret: str) -> None:
        """Hide this very text too, from now on: a key need not look like one."""
        if len(secret) >= SHORTEST and secret not in self._secrets:
            # Longest first: what is left of a secret that holds another must not stay readable.
            self._secrets = tuple(sorted((*self._secrets, secret), key=len, reverse=True))

    def __call__(self, logger: Any, name: str, entry: MutableMapping[str, Any]) -> MutableMapping[str, Any]:  # noqa: ARG002 - structlog's signature
        return {self.text(str(key)): self._clean(value, 0) for key, value in entry.items()}

    def text(self, value: str) -> str:
        """One text, scrubbed."""
        return redact(value, self._secrets)

    def _clean(self, value: Any, depth: int) -> Any:
        if value is None or type(value) in (bool, int, float):
            return value
        if isinstance(value, Mapping) and depth < DEEPEST:
            return {self.text(str(key)): self._clean(item, depth + 1) for key, item in value.items()}
        if isinstance(value, list | tuple | AbstractSet) and depth < DEEPEST:
            return [self._clean(item, depth + 1) for item in value]
        return self.text(_as_text(value))


def _as_text(value: Any) -> str:
    try:
        if isinstance(value, bytes | bytearray | memoryview):
            return bytes(value).decode("utf-8", "replace")
        if isinstance(value, datetime):
            return value.isoformat().replace("+00:00", "Z")
        return str(value)
    except Exception:  # noqa: BLE001 - what cannot say what it is must not end a pass
        return f"<{type(value).__name__}>"
