"""Findings on standard output as they come: as lines, or as one JSON document, however many there are."""

from types import TracebackType
from typing import Any, Self

import click

from syncer.cli.shared import json_line
from syncer.core.text import one_line
from syncer.core.verify import Finding

WIDTH = 200
"""Columns of a path."""


class Findings:
    """Tells each finding at once. The document is closed whatever happens; without `end` it says it is not complete."""

    def __init__(self, *, as_json: bool) -> None:
        self._as_json = as_json
        self._told = 0
        self._ended = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._told and not self._ended:
            self.end({"complete": False})

    def tell(self, finding: Finding) -> None:
        """One finding."""
        if not self._as_json:
            click.echo(line_of(finding))
            return
        click.echo(",\n" if self._told else '{"version": 1, "findings": [\n', nl=False)
        click.echo(json_line(to_json(finding)), nl=False)
        self._told += 1

    def end(self, summary: dict[str, Any]) -> None:
        """Close the document with what it all amounted to."""
        self._ended = True
        if self._as_json:
            head = "\n]" if self._told else '{"version": 1, "findings": []'
            click.echo(f"{head}, {json_line(summary).removeprefix('{')}")


def to_json(finding: Finding) -> dict[str, Any]:
    """A finding as plain values."""
    return {
        "id": finding.id,
        "path": finding.path,
        "fault": str(finding.fault) if finding.fault else None,
        "moved_to": finding.moved_to,
        "aside": finding.aside,
        "requeued": finding.requeued,
        "accepted": finding.accepted,
    }


def line_of(finding: Finding) -> str:
    """A finding on one line."""
    path = one_line(finding.path, WIDTH)
    if finding.moved_to is not None:
        return f"  moved       {path} → {one_line(finding.moved_to, WIDTH)}"
    text = f"  {finding.fault or '':<10}  {path}"
    if finding.accepted:
        return f"{text}; taken for deleted on purpose"
    if finding.aside:
        text += f" (kept as {one_line(finding.aside, WIDTH)})"
    return f"{text}; put back" if finding.requeued else text
