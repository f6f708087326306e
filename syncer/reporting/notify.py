"""Messages through Apprise when a pass fails, loses files, or recovers; never the same trouble night after night."""

import logging
from collections.abc import Sequence
from typing import Any

from syncer.core.errors import UsageError
from syncer.core.redact import redact
from syncer.core.report import ExitCode, Report
from syncer.reporting.summary import summarise

_log = logging.getLogger(__name__)


def subject(report: Report, before: int | None) -> str | None:
    """What to tell, if anything, when the pass before ended with `before` (None: there was none, or it died)."""
    code = report.exit_code
    if report.deadlines.lost:
        return f"syncer lost {len(report.deadlines.lost)} of your files to expiry"
    if code in (ExitCode.INTERRUPTED, ExitCode.TERMINATED):
        return None
    if code and code != before:
        return f"syncer: the pass ended with exit code {code}"
    if not code and before not in (None, 0, ExitCode.INTERRUPTED, ExitCode.TERMINATED):
        return "syncer is well again"
    return None


def load_apprise() -> Any:
    """The Apprise library. Raises UsageError, with the way out, where it is not installed."""
    try:
        import apprise  # noqa: PLC0415 - an extra
    except ImportError:
        raise UsageError("--notify needs Apprise.", hint="pip install 'videodb-syncer[notify]'") from None
    return apprise


async def notify(urls: Sequence[str], report: Report, before: int | None) -> None:
    """Tell every URL, if there is something to tell. One that cannot be told is warned of and changes nothing."""
    title = subject(report, before)
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
