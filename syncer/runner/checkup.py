"""Asks each part how it is, and goes on where one cannot say."""

from collections.abc import Awaitable, Callable

from syncer.core.doctor import ApiFacts, Finding, Level, StorageFacts, judge_api, judge_storage
from syncer.core.errors import FetchError, KeyRefused, SyncerError
from syncer.core.model import Job
from syncer.core.ports import Clock, Fetcher
from syncer.core.resume import PROBE

Examined = tuple[ApiFacts, Job | None]


async def check_api(
    examine: Callable[[], Awaitable[Examined]], fetcher: Fetcher, clock: Clock, form_of: Callable[[str], str | None]
) -> list[Finding]:
    """The API, and with the link of a job it gives, the storage. Trouble is a finding."""
    try:
        facts, job = await examine()
    except KeyRefused as error:
        return [Finding("key", Level.FAIL, error.message, error.hint)]
    except SyncerError as error:
        return [Finding("api", Level.FAIL, error.message, error.hint or "Check --base-url and the network.")]
    told = judge_api(facts)
    if job is None or job.link is None:
        return [*told, Finding("storage", Level.OK, "Not looked at: no job has a link yet.")]
    try:
        async with fetcher.open(job.link, PROBE) as exchange:
            answer = exchange.answer
    except FetchError as error:
        return [*told, Finding("storage", Level.FAIL, error.message, "Check the network and the proxy.")]
    link, life = job.link, None
    if link.expires_at is not None and not link.estimated:
        life = link.expires_at - clock.now()
    return [*told, *judge_storage(StorageFacts(answer, form_of(link.url), life))]
