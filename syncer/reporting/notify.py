"""Messages through Apprise when passes fail, lose files, recover or first go well; never the same night after night."""

import logging
from collections.abc import Sequence
from typing import Any

from syncer.core.errors import UsageError
from syncer.core.redact import redact
from syncer.core.report import Report
from syncer.reporting.past import STOPPED, Earlier, last_told
from syncer.reporting.summary import summarise

_log = logging.getLogger(__name__)


def subject(report: Report, earlier: Sequence[Earlier]) -> str | None:
    """What to tell, if anything, after the passes in `earlier`, the newest first.

    A loss is told each time; trouble once, until it changes or ends; that all is well once, after trouble or at first.
    """
    code, before = report.exit_code, last_told(earlier)
    if report.deadlines.lost:
        return f"syncer lost {len(report.deadlines.lost)} of your files to expiry"
    if code in STOPPED or code == before:
        return None
    if code:
        return f"syncer: the pass ended with exit code {code}"
    return "syncer: the first pass went well" if before is None else "syncer is well again"


def load_apprise() -> Any:
    """The Apprise library. Raises UsageError, with the way out, where it is not installed."""
    try:
        import apprise  # noqa: PLC0415 - an extra
    except ImportError:
        raise UsageError("--notify needs Apprise.", hint="pip install 'videodb-syncer[notify]'") from None
    return apprise


async def notify(urls: Sequence[str], report: Report, earlier: Sequence[Earlier]) -> None:
    """Tell every URL, if there is something to tell. One that cannot be told is warned of and changes nothing."""
    title = subject(report, earlier)
    if title is None:
        return
    teller = load_apprise().Apprise()
    unusable = [url for url in urls if not teller.add(url)]
    told = (
        await teller.async_notify(title=title, body=redact(summarise(report))) if len(unusable) < len(urls) else False
    )
    if unusable or not told:
        # Apprise URLs hold passwords, so they are not named.
        _log.warning("not every --notify URL could be told of the pass")
