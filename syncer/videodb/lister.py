"""VideoDB as core's Source: the list page by page, one job by itself, and a job made again."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, field, replace
from typing import Any

from syncer.core import listing
from syncer.core.errors import ListingFailed
from syncer.core.events import EntryMalformed
from syncer.core.listing import MAX_COUNT, PageRequest, Walk
from syncer.core.model import Job, Listing, Page
from syncer.core.ports import Clock, Observer
from syncer.videodb.client import ApiClient, job_path
from syncer.videodb.wire import marks_of, page_ids, parse_job, parse_page

Keep = Callable[[Page], Awaitable[frozenset[str]]]


MAX_MARKS = 100_000
"""Malformed entries that are told apart; a list with more is given up as incomplete, so that memory stays bounded."""


@dataclass(slots=True)
class _Count:
    """What the listing amounts to so far."""

    pages: int = 0  # that brought something new
    jobs: int = 0
    malformed: int = 0
    marks: set[str] = field(default_factory=set)  # of the malformed entries
    blind: int = 0  # pages in a row with malformed entries alone
    lost_sight: bool = False  # malformed entries may have been taken for the end of the list


class VideoDb:
    """The account behind an open ApiClient. `page_size` is what is asked for; the server may give less."""

    def __init__(
        self, client: ApiClient, *, clock: Clock, observer: Observer | None = None, page_size: int = MAX_COUNT
    ) -> None:
        self._client = client
        self._clock = clock
        self._observer = observer
        self._page_size = page_size

    async def list_jobs(self, keep: Keep) -> Listing:
        """Every page to `keep` as it comes, to the end of the list; memory holds two pages.

        While one is kept the next is asked for: by far the most follow from the one before. A listing that is not
        `complete` went as far as pages came, without proof that nothing slipped by. Raises KeyRefused, and
        ListingFailed saying how far it got.
        """
        walk, ahead = listing.start(self._page_size), _Ahead(self._read)
        count = _Count()
        try:
            while not (walk.done or count.lost_sight):
                page, marks = await self._page(walk, count, ahead)
                ahead.ask_for(_likely_next(walk, page, marks))
                fresh = await keep(_distinct(page)) if page.jobs else frozenset()
                walk = self._absorb(walk, (page, marks), fresh, count)
        finally:
            await ahead.forget()
        return Listing(count.pages, count.jobs, count.malformed, walk.complete and not count.lost_sight)

    def _absorb(self, walk: Walk, read: tuple[Page, tuple[str, ...]], fresh: frozenset[str], count: _Count) -> Walk:
        page, marks = read
        count.pages += 1 if fresh else 0
        count.jobs += len(fresh)
        news = fresh | self._note(walk, page, marks, fresh, count)
        after = listing.absorb(walk, page_ids(page, marks), news)
        ended = walk.round == 1 < after.round
        # Alike entries, page after page, look like the same page again and again.
        count.lost_sight |= ended and count.blind > 1 and not news and page.length > walk.overlap
        return after

    async def look_up(self, job_id: str) -> Job:
        """The job as the API gives it now. Raises JobGone, KeyRefused, ListingFailed."""
        return await self._client.read(
            job_path(job_id), None, lambda body: parse_job(body, job_id, self._clock.now()), of_job=True
        )

    async def regenerate(self, job_id: str) -> None:
        """Have the job made again; VideoDB may bill it, so it is asked for once. Raises JobGone, ListingFailed."""
        await self._client.post(job_path(job_id), of_job=True)

    async def _page(self, walk: Walk, count: _Count, ahead: "_Ahead") -> tuple[Page, tuple[str, ...]]:
        """The next page, and the marks of its malformed entries."""
        wanted = listing.request(walk)
        try:
            return await ahead.take(wanted)
        except ListingFailed as error:
            failure = error
        where = f"The list was read up to page {wanted.index} ({count.jobs} jobs)."
        raise type(failure)(f"{failure.message} {where}", hint=failure.hint)

    async def _read(self, wanted: PageRequest) -> tuple[Page, tuple[str, ...]]:
        def parse(body: dict[str, Any]) -> tuple[Page, tuple[str, ...]]:
            page = parse_page(body, wanted.index, self._clock.now())
            return page, marks_of(body, page)

        params = {"page_index": wanted.index, "count": wanted.count}
        return await self._client.read("/download", params, parse)

    def _note(
        self, walk: Walk, page: Page, marks: tuple[str, ...], fresh: frozenset[str], count: _Count
    ) -> frozenset[str]:
        """Counts and tells the malformed entries that were not read before; the marks that are new."""
        news = frozenset(marks) - count.marks
        leads_on = walk.round == 1 and bool(fresh or news)
        for entry, mark in zip(page.malformed, marks, strict=True):
            if mark in news or (leads_on and entry.id is None and entry.position >= walk.overlap):
                count.malformed += 1
                if self._observer is not None:
                    self._observer.notify(EntryMalformed(entry))
        count.marks |= news
        count.blind = count.blind + 1 if page.malformed and not page.jobs else 0
        count.lost_sight |= len(count.marks) > MAX_MARKS
        return news


class _Ahead:
    """The page that will most likely be wanted next, on its way while the one before is still worked on."""

    def __init__(self, read: Callable[[PageRequest], Coroutine[Any, Any, tuple[Page, tuple[str, ...]]]]) -> None:
        self._read = read
        self._wanted: PageRequest | None = None
        self._flight: asyncio.Task[tuple[Page, tuple[str, ...]]] | None = None

    def ask_for(self, wanted: PageRequest | None) -> None:
        """Begin to read a page; None for none."""
        if wanted is not None:
            self._wanted, self._flight = wanted, asyncio.create_task(self._read(wanted), name="page ahead")

    async def take(self, wanted: PageRequest) -> tuple[Page, tuple[str, ...]]:
        """The page wanted, whether it was asked for or not. Raises what reading it raised."""
        if self._flight is None or self._wanted != wanted:
            await self.forget()
            return await self._read(wanted)
        flight = self._flight
        try:
            return await flight
        finally:
            await self.forget()

    async def forget(self) -> None:
        """Give up what was asked for."""
        flight, self._flight = self._flight, None
        if flight is not None:
            flight.cancel()
            await asyncio.wait([flight])
            if not flight.cancelled():
                flight.exception()  # heard: where it matters, it comes again


def _likely_next(walk: Walk, page: Page, marks: tuple[str, ...]) -> PageRequest | None:
    """What will be asked for if all but the overlap is new to the first look at the list, nothing to a later one."""
    ids = page_ids(page, marks)
    news = frozenset(i for i in ids[walk.overlap :] if i is not None) if walk.round == 1 else frozenset[str]()
    after = listing.absorb(walk, ids, news)
    return None if after.done else listing.request(after)


def _distinct(page: Page) -> Page:
    """The page with each id once, as it came last: a bulk write takes no row twice."""
    return replace(page, jobs=tuple({job.id: job for job in page.jobs}.values()))
