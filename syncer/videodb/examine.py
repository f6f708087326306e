"""Finds out with a handful of requests what no document says of the API: where pages begin, how they are ordered."""

from typing import Any

from syncer.core.doctor import ApiFacts, order_of
from syncer.core.listing import MAX_COUNT
from syncer.core.model import Job
from syncer.core.ports import Clock
from syncer.videodb.client import ApiClient, job_path
from syncer.videodb.wire import parse_job, parse_page, time_forms

_SMALL = 2
"""Entries of a page that is asked for to compare it with its neighbour."""


_APART = 1.1
"""Seconds between two looks at one job: signatures tell their time in whole seconds."""


class Examiner:
    """Asks an open ApiClient. Nothing is created, repeated or deleted."""

    def __init__(self, client: ApiClient, clock: Clock) -> None:
        self._client = client
        self._clock = clock

    async def examine(self) -> tuple[ApiFacts, Job | None]:
        """What could be told, and a done job with a link, freshly looked up. Raises KeyRefused, ListingFailed."""
        before = self._clock.now()
        served = await self._client.server_time()
        # The header has no fractions: half a second is added, and half of the way there and back taken off.
        ours = before + (self._clock.now() - before) / 2
        body = await self._client.get("/download", {"page_index": 0, "count": MAX_COUNT})
        page = parse_page(body, 0, self._clock.now())
        ids = [job.id for job in page.jobs]
        base, heeds = await self._paging(ids)
        bare = await self._client.get("/download") if page.length > _SMALL else None
        job, relink = await self._link(page.jobs)
        facts = ApiFacts(
            jobs=len(page.jobs),
            malformed=len(page.malformed),
            full_page=page.length,
            default_count=self._length(bare) if bare else None,
            page_base=base,
            heeds_count=heeds,
            order=order_of([one.created_at for one in page.jobs]),
            time_forms=time_forms(body),
            relink=relink,
            skew=served - ours if served else None,
            sample=job.id if job else None,
        )
        return facts, job

    def _length(self, body: dict[str, Any]) -> int:
        return parse_page(body, 0, self._clock.now()).length

    async def _paging(self, ids: list[str]) -> tuple[int | None, bool | None]:
        """The number of the first page, and whether `count` is heeded; None where the account is too small to tell."""
        if len(ids) <= _SMALL:
            return None, None
        first = await self._ids(0)
        if len(first) > _SMALL:
            return None, False
        second = await self._ids(1)
        if first == second:
            return 1, True
        return (0 if second == ids[_SMALL : 2 * _SMALL] else None), True

    async def _ids(self, index: int) -> list[str]:
        body = await self._client.get("/download", {"page_index": index, "count": _SMALL})
        return [job.id for job in parse_page(body, index, self._clock.now()).jobs]

    async def _link(self, jobs: tuple[Job, ...]) -> tuple[Job | None, str | None]:
        """A done job as the API gives it by itself, and what asking for it again gave (see `ApiFacts.relink`)."""
        done = next((job for job in jobs if job.link is not None), None)
        if done is None:
            return None, None
        first = (await self._look_up(done.id)).link
        await self._clock.sleep(_APART)
        job = await self._look_up(done.id)
        if first is None or job.link is None:
            return job, None
        if first.url == job.link.url:
            return job, "same"
        later = first.expires_at and job.link.expires_at and job.link.expires_at > first.expires_at
        return job, "later" if later else "other"

    async def _look_up(self, job_id: str) -> Job:
        return await self._client.read(
            job_path(job_id), None, lambda body: parse_job(body, job_id, self._clock.now()), of_job=True
        )
