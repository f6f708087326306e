"""What any core.ports.Fetcher must do: the one over httpx against the sandbox, and the fake in memory."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field, replace

import pytest
from fakes import fetcher as fake

from syncer.core import resume
from syncer.core.errors import DestinationRefused, FileChanged, Interrupted
from syncer.core.model import Link, Promise
from syncer.core.ports import Fetcher
from syncer.core.resume import Append, Ask, AskAgain, FromStart
from syncer.runner.clock import SystemClock
from syncer.sandbox import HEALTHY, Cut, IgnoredRange, Kind, Sandbox, SandboxJob, Stall, Status, first, running
from syncer.transfer import HttpFetcher

SIZE = 3_000_000


@dataclass
class Storage:
    """One file of SIZE bytes behind `link`, a dead `missing` link, and faults for the next request."""

    fetcher: Fetcher
    content: bytes
    link: Link
    missing: Link
    cut: Callable[[int], None]  # the next body breaks after so many bytes
    refuse: Callable[[int], None]  # the next answer has this status
    hang: Callable[[int], None]  # the next body stops after so many bytes
    ignore_ranges: Callable[[], None]  # from now on the whole file is sent, whatever was asked
    served: Callable[[], int]  # bytes of body sent so far


@dataclass
class Taker:
    """A sink that remembers, and fails where told."""

    fail_at: int | None = None
    error: Exception = field(default_factory=lambda: DestinationRefused("full"))
    content: bytearray = field(default_factory=bytearray)
    threads: set[int] = field(default_factory=set)
    busy: int = 0
    some: threading.Event = field(default_factory=threading.Event)

    def write(self, data) -> None:
        assert not self.busy, "called twice at once"
        self.busy += 1
        self.threads.add(threading.get_ident())
        self.some.set()
        try:
            if self.fail_at is not None and len(self.content) + len(data) > self.fail_at:
                raise self.error
            self.content += data
        finally:
            self.busy -= 1


async def _over_http() -> AsyncIterator[Storage]:
    sandbox = Sandbox([SandboxJob("job", "Film", size=SIZE)])

    def fail(*faults) -> None:
        sandbox.set_scenario(replace(HEALTHY, storage=faults))

    async with running(sandbox), HttpFetcher(clock=SystemClock(), read_timeout=30) as fetcher:
        url = sandbox.link(sandbox.store.get("job"))
        yield Storage(
            fetcher,
            sandbox.content("job").read(0, SIZE),
            Link(url, None),
            Link(url.replace("/storage/", "/storage/x"), None),
            cut=lambda after: fail(Cut(after=after, when=first(1))),
            refuse=lambda status: fail(Status(status=status, when=first(1))),
            hang=lambda after: fail(Stall(after=after, when=first(1))),
            ignore_ranges=lambda: fail(IgnoredRange()),
            served=lambda: sum(seen.body_bytes for seen in sandbox.log.requests(Kind.STORAGE)),
        )


async def _in_memory() -> AsyncIterator[Storage]:
    fetcher, url = fake.FakeFetcher(), "https://storage.test/film?sig=1"
    content = Sandbox([SandboxJob("job", "Film", size=SIZE)]).content("job").read(0, SIZE)
    fetcher.objects[url] = fake.Stored(content)
    yield Storage(
        fetcher,
        content,
        Link(url, None),
        Link(f"{url}2", None),
        cut=lambda after: fetcher.fail_next(url, fake.Cut(after)),
        refuse=lambda status: fetcher.fail_next(url, fake.Refuse(status)),
        hang=lambda after: fetcher.fail_next(url, fake.Hang(after)),
        ignore_ranges=lambda: fetcher.objects.update({url: fake.Stored(content, ranges=False)}),
        served=lambda: fetcher.served,
    )


@pytest.fixture(params=[_over_http, _in_memory], ids=["http", "fake"])
async def storage(request):
    made = request.param()
    yield await anext(made)
    await made.aclose()


async def bring(storage: Storage, ask: Ask, taker: Taker | None = None) -> tuple[Taker, list[int], resume.Answer]:
    taker, told = taker or Taker(), []
    async with storage.fetcher.open(storage.link, ask) as exchange:
        await exchange.pour(taker, told.append)
    return taker, told, exchange.answer


async def promise_of(storage: Storage) -> Promise:
    async with storage.fetcher.open(storage.link, Ask()) as exchange:
        verdict = resume.judge(Ask(), Promise(), exchange.answer)
    assert isinstance(verdict, FromStart)
    return verdict.promise


async def test_the_whole_file(storage):
    taker, told, answer = await bring(storage, Ask())
    assert taker.content == storage.content
    assert sum(told) == SIZE
    assert (answer.status, answer.length, answer.content_type) == (200, SIZE, "video/mp4")
    assert threading.get_ident() not in taker.threads


async def test_what_the_head_says_holds(storage):
    promise = await promise_of(storage)
    assert promise.size == SIZE
    assert promise.etag.startswith('"')
    assert resume.check_whole(promise, SIZE, {"md5": "0" * 32}) is not None
    assert promise.md5 is not None
    assert len(promise.crc32c) == 8


@pytest.mark.parametrize("on_disk", [1, 70_000, SIZE - 1, SIZE])
async def test_the_rest_of_it(storage, on_disk):
    promise = await promise_of(storage)
    asked = resume.ask(on_disk, promise)
    async with storage.fetcher.open(storage.link, asked) as exchange:
        verdict = resume.judge(asked, promise, exchange.answer)
        assert verdict == Append(asked.overlap, promise)
        taker = Taker()
        await exchange.pour(taker, lambda count: None)
    assert taker.content == storage.content[asked.start :]


async def test_another_version_is_sent_whole(storage):
    taker, _, answer = await bring(storage, Ask(start=100, overlap=100, if_range='"another"'))
    assert answer.status == 200
    assert taker.content == storage.content


async def test_beyond_the_end_there_is_nothing(storage):
    asked = Ask(start=SIZE, overlap=10)
    async with storage.fetcher.open(storage.link, asked) as exchange:
        assert exchange.answer.status == 416
        assert exchange.answer.content_range == resume.ContentRange(None, None, SIZE)
        assert isinstance(resume.judge(asked, Promise(), exchange.answer), AskAgain)


async def test_a_refusal_is_an_answer(storage):
    async with storage.fetcher.open(storage.missing, Ask()) as exchange:
        assert exchange.answer.status in (403, 404)
    storage.refuse(503)
    async with storage.fetcher.open(storage.link, Ask()) as exchange:
        assert exchange.answer.status == 503


async def test_a_probe_tells_the_size_for_one_byte(storage):
    for _ in range(3):
        answer = await storage.fetcher.probe(storage.link)
        assert (answer.status, answer.length, answer.content_range) == (206, 1, resume.ContentRange(0, 0, SIZE))
        assert resume.size_told(answer) == SIZE
    assert storage.served() == 3
    taker, *_ = await bring(storage, Ask())
    assert taker.content == storage.content


async def test_a_probe_that_is_refused_is_an_answer(storage):
    assert (await storage.fetcher.probe(storage.missing)).status in (403, 404)
    storage.refuse(503)
    assert (await storage.fetcher.probe(storage.link)).status == 503
    assert resume.size_told(await storage.fetcher.probe(storage.link)) == SIZE


async def test_a_storage_that_ignores_ranges_tells_the_size_all_the_same(storage):
    storage.ignore_ranges()
    assert resume.size_told(await storage.fetcher.probe(storage.link)) == SIZE


@pytest.mark.parametrize("after", [0, 1, 100_000, SIZE - 1])
async def test_what_came_before_a_cut_is_with_the_sink(storage, after):
    storage.cut(after)
    taker, told = Taker(), []
    async with storage.fetcher.open(storage.link, Ask()) as exchange:
        with pytest.raises(Interrupted):
            await exchange.pour(taker, told.append)
    assert taker.content == storage.content[:after]
    assert sum(told) == after
    taker, *_ = await bring(storage, Ask())
    assert taker.content == storage.content


@pytest.mark.parametrize("error", [DestinationRefused("full"), FileChanged("another")])
async def test_what_the_sink_raises_comes_out(storage, error):
    taker = Taker(fail_at=0, error=error)
    async with storage.fetcher.open(storage.link, Ask()) as exchange:
        with pytest.raises(type(error)) as caught:
            await exchange.pour(taker, lambda count: None)
    assert caught.value is error
    taker, *_ = await bring(storage, Ask())
    assert taker.content == storage.content


async def taken(exchange) -> bytes:
    """A small body, at once or, where it took its time, as ever."""
    body = await exchange.take()
    if body is None:
        taker = Taker()
        await exchange.pour(taker, lambda count: None)
        return bytes(taker.content)
    return body


async def test_a_small_body_can_be_had_at_once(storage):
    for _ in range(3):
        async with storage.fetcher.open(storage.link, Ask(start=SIZE - 1000)) as exchange:
            assert await taken(exchange) == storage.content[-1000:]


async def test_a_large_body_is_poured(storage):
    async with storage.fetcher.open(storage.link, Ask()) as exchange:
        assert await exchange.take() is None
        assert await taken(exchange) == storage.content


async def test_of_a_small_body_that_breaks_nothing_is_lost(storage):
    storage.cut(400)
    async with storage.fetcher.open(storage.link, Ask(start=SIZE - 1000)) as exchange:
        assert await exchange.take() is None
        taker = Taker()
        with pytest.raises(Interrupted):
            await exchange.pour(taker, lambda count: None)
    assert bytes(taker.content) == storage.content[-1000:-600]


async def test_an_answer_need_not_be_read(storage):
    for _ in range(3):
        async with storage.fetcher.open(storage.link, Ask()):
            pass
    taker, *_ = await bring(storage, Ask())
    assert taker.content == storage.content


async def test_one_may_have_enough_of_a_body(storage):
    """Closed as soon as its sink wants no more, and once again as the answer is let go of."""
    async with storage.fetcher.open(storage.link, Ask()) as exchange:
        with pytest.raises(FileChanged):
            await exchange.pour(Taker(fail_at=100_000, error=FileChanged("enough")), lambda count: None)
        await exchange.close()
        taker, *_ = await bring(storage, Ask())
    assert taker.content == storage.content


async def test_cancelled_in_the_middle_it_lets_go(storage):
    storage.hang(200_000)
    taker = Taker()

    async def run() -> None:
        await bring(storage, Ask(), taker)

    running_one = asyncio.create_task(run())
    assert await asyncio.to_thread(taker.some.wait, 20)
    running_one.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running_one
    assert not taker.busy
    assert storage.content.startswith(taker.content)
    taker, *_ = await bring(storage, Ask())
    assert taker.content == storage.content


async def test_many_at_once(storage):
    taken = await asyncio.gather(*(bring(storage, Ask(start=n * 100_000, overlap=1)) for n in range(8)))
    for number, (taker, _, _) in enumerate(taken):
        assert taker.content == storage.content[number * 100_000 :]
