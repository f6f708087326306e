"""Our own transport against httpx's: whatever a server says, both make the same bytes or the same error of it."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime
from urllib.request import getproxies_environment

import httpx._utils
import pytest
from helpers.heads import check_reader
from helpers.raw import WHOLE, Outcome, Pair, Reply, outcome_of
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from syncer.core.model import Link
from syncer.core.resume import Ask
from syncer.sandbox import HEALTHY, SCENARIOS, Framing, Sandbox, SandboxJob, faults_storage, faults_wire, first, running
from syncer.transfer.proxies import routes
from syncer.transfer.wire_head import Dialogue

GOOD = b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nthe other"
PLAIN = b'HTTP/1.1 206 Part\r\ncONTENT-lENGTH: 5\r\nETag: "a"\r\nContent-Range: bytes 0-4/5\r\n\r\nhello'
CHUNKED = (
    b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"
    b"HTTP/1.1 200\r\nTransfer-Encoding: Chunked\r\nX: a\r\n b\r\n\r\n"
    b'5;name="value"\r\nhello\r\n0006 \r\n world\r\n000;last\r\nTrailer: x\r\nAnother: y\r\n\r\n'
)
CLOSED = b"HTTP/1.0 200 OK\r\nx-goog-stored-content-length: 5\r\n\r\nhello"
REFUSED = b"HTTP/1.1 400 Bad\r\nContent-Length: 19\r\nRetry-After: x\r\n\r\n<Code>Expired</Code>"
NOWHERE = b"HTTP/1.1 302 Found\r\nContent-Length: 8\r\n\r\n12345678"
KINDS = {"plain": PLAIN, "chunked": CHUNKED, "closed": CLOSED, "refused": REFUSED}


@pytest.fixture(scope="module")
def loop():
    with asyncio.Runner() as runner:
        yield runner


@pytest.fixture(scope="module")
def pair(loop):
    made = Pair()
    loop.run(made.__aenter__())
    yield made
    loop.run(made.__aexit__())


def alike(loop, pair, *replies: Reply, ask: Ask = WHOLE) -> list[Outcome]:
    """Both make the same of the first reply; ours makes what it is of each good one behind it."""
    ours, theirs = loop.run(pair.outcomes(*replies, ask=ask))
    assert timeless(ours[0]) == timeless(theirs[0])
    return ours


def timeless(outcome: Outcome) -> Outcome:
    """Retry-After counts from when it is read."""
    answer = outcome.answer
    if answer is None or answer.retry_after is None:
        return outcome
    return replace(outcome, answer=replace(answer, retry_after=datetime.min.replace(tzinfo=UTC)))


@pytest.mark.parametrize("data", KINDS.values(), ids=list(KINDS))
def test_cut_off_at_every_byte(loop, pair, data):
    for end in range(len(data) + 1):
        ours = alike(loop, pair, Reply.of(data[:end]))
        assert ours[0].error or data is CLOSED or end == len(data)


@pytest.mark.parametrize("data", KINDS.values(), ids=list(KINDS))
def test_split_at_every_byte(loop, pair, data):
    whole = alike(loop, pair, Reply.of(data))
    for cut in range(1, len(data)):
        assert alike(loop, pair, Reply.of(data, cut)) == whole
    assert alike(loop, pair, Reply.of(data, *range(len(data)))) == whole


@pytest.mark.parametrize("data", [PLAIN, CHUNKED, REFUSED], ids=["plain", "chunked", "refused"])
@pytest.mark.parametrize("surplus", [b"", b"\r\n", b"x", GOOD, b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nbad"])
@pytest.mark.parametrize("then", ["stay", "close"])
def test_what_comes_behind_a_body_is_never_taken_for_the_next_answer(loop, pair, data, surplus, then):
    ours = alike(loop, pair, Reply.of(data + surplus, then=then), Reply.of(GOOD))
    assert (ours[1].content, ours[1].error) == (b"the other", "")


@pytest.mark.parametrize("data", [PLAIN, REFUSED, NOWHERE], ids=["plain", "refused", "nowhere"])
def test_an_empty_line_that_comes_late_on_a_connection_that_ends_is_no_answer(loop, pair, data):
    """By then the connection is kept, and asked again: whoever says no more than that has not answered."""
    for _ in range(5):
        ours = alike(loop, pair, Reply.of(data + b"\r\n", len(data)), Reply.of(GOOD))
        assert (ours[1].content, ours[1].error) == (b"the other", "")


@pytest.mark.parametrize("end", range(0, len(PLAIN), 7))
def test_reset_at_some_bytes(loop, pair, end):
    """How much arrives before a reset is the kernel's affair, and with it what is left to complain about."""
    ours, theirs = loop.run(pair.outcomes(Reply.of(PLAIN[:end], then="reset")))
    for outcome in (ours[0], theirs[0]):
        assert outcome.error.startswith("Interrupted")
        assert PLAIN.endswith(b"\r\n\r\nhello")
        assert b"hello".startswith(outcome.content)


@pytest.mark.parametrize(
    "data",
    [
        b"HTTP/1.1 200 OK\r\n\r\nno length",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5, 5\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 4\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\nContent-Length: +5\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\nContent-Length: 0x5\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\nContent-Length: " + b"9" * 25 + b"\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: identity\r\nContent-Length: 5\r\n\r\nhello",
        b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhelo\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\nhel\n0\n\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-3\r\nhel\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"f" * 21 + b"\r\nhel",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3;" + b"x" * 200_000 + b"\r\nhel\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX: " + b"x" * 300_000,
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nno trailer\r\n\r\n",
        b"HTTP/1.1 204 None\r\nContent-Length: 5\r\n\r\nhello",
        b"HTTP/1.1 304 Same\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 101 Switching\r\nUpgrade: x\r\n\r\nhello",
        b"HTTP/1.1 199 What\r\n\r\n" * 50 + PLAIN,
        b"HTTP/1.1 100 Continue\r\n\r\n",
        b"HTTP/1.1 100 Continue\r\nbad\r\n\r\n" + PLAIN,
        b"HTTP/1.1 600 What\r\nContent-Length: 5\r\n\r\nhello",
        b"HTTP/1.1 1000 What\r\nContent-Length: 5\r\n\r\nhello",
        b"HTTP/2 200\r\nContent-Length: 5\r\n\r\nhello",
        b"HTTP/9.9 200 OK\r\nContent-Length: 5\r\n\r\nhello",
        b"http/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
        b"ICY 200 OK\r\nContent-Length: 5\r\n\r\nhello",
        b"\r\nHTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
        b"\n\nHTTP/1.1 200 OK\nContent-Length: 5\n\nhello",
        b"HTTP/1.1 200 OK\nContent-Length: 5\n\nhello",
        b"HTTP/1.1 200 OK\r\n Content-Length: 5\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\nContent-Length : 5\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\nContent-Length:\r\n 5\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX: \x00\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX: \xff\x01\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: Close\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
        b"\x16\x03\x01\x00\x05hello",
        b"x" * 300_000,
    ],
)
def test_odd_answers(loop, pair, data):
    ours = alike(loop, pair, Reply.of(data), Reply.of(GOOD))
    assert (ours[1].content, ours[1].error) == (b"the other", "")


token = st.sampled_from(["X-A", "etag", "LAST-MODIFIED", "Content-Type", "Server", "x-goog-hash", "Retry-After"])
plain = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=20)
value = plain | st.text(st.characters(min_codepoint=32, max_codepoint=255, exclude_characters="\x7f"), max_size=20)
spare = st.lists(st.builds("{}:{}{}".format, token, st.sampled_from(["", " ", "\t ", "\r\n "]), value), max_size=4)
connection = st.sampled_from(
    ["Connection: keep-alive", "connection:Keep-Alive ", "Connection: close", "Connection: keep-alive, close"]
)
chunk = st.tuples(st.binary(min_size=1, max_size=300), st.sampled_from(["", ";a", ';a="b;c"', " ", ";x=\xff"]))


@st.composite
def answers(draw) -> bytes:
    """An answer that is more or less HTTP, with its body."""
    informal = draw(st.lists(st.sampled_from([100, 102, 103, 199]), max_size=2))
    before = "".join(f"HTTP/1.1 {status} Wait\r\nX: y\r\n\r\n" for status in informal)
    status = draw(st.sampled_from([200, 200, 200, 206, 204, 302, 400, 403, 416, 503, 999]))
    version = draw(st.sampled_from(["1.1", "1.1", "1.1", "1.0"]))
    body = draw(st.binary(max_size=2000))
    lines = draw(spare) + draw(st.lists(connection, max_size=2))
    match draw(st.sampled_from(["length", "length", "chunked", "closed", "both", "wrong"])):
        case "length":
            lines.append(f"Content-Length: {len(body)}")
        case "wrong":
            lines.append(f"Content-Length: {draw(st.integers(0, 3000))}")
        case "closed":
            lines.append(f"x-goog-stored-content-length: {len(body)}")
        case framing:
            lines += ["transfer-encoding: CHUNKED"] + (["Content-Length: 7"] if framing == "both" else [])
            chunks = draw(st.lists(chunk, max_size=5))
            wrapped = [b"%x%b\r\n%b\r\n" % (len(c), ext.encode("latin-1"), c) for c, ext in chunks]
            trailer = draw(st.sampled_from([b"", b"A: b\r\n", b"A: b\r\n c\r\nD:\r\n"]))
            body = b"".join(wrapped) + b"0\r\n" + trailer + b"\r\n"
    draw(st.randoms()).shuffle(lines)
    head = "\r\n".join([f"HTTP/{version} {status}{draw(st.sampled_from(['', ' ', ' OK']))}", *lines, "", ""])
    return (before + head).encode("latin-1") + body + draw(st.sampled_from([b"", b"", b"\r\n", GOOD]))


@st.composite
def usual(draw) -> bytes:
    """What storages send, and next to it."""
    body = draw(st.binary(max_size=50))
    length = draw(st.sampled_from([f"Content-Length: {len(body)}"] * 6 + ["content-length:0", "Transfer-Encoding: x"]))
    lines = [length, *draw(st.lists(st.builds("{}: {}".format, token, plain), max_size=5))]
    lines += draw(st.lists(connection, max_size=1))
    draw(st.randoms()).shuffle(lines)
    data = bytearray("\r\n".join(["HTTP/1.1 200 OK", *lines, "", ""]).encode() + body)
    for place in draw(st.lists(st.integers(0, len(data)), max_size=1)):
        data[place : place + 1] = draw(st.sampled_from([b"", b"\r\n", b"\n", b"\r", b"\0", b":", b"0", b" ", b"\xff"]))
    return bytes(data)


@st.composite
def broken(draw) -> bytes:
    """Such an answer with some bytes struck out, put in or changed."""
    data = bytearray(draw(answers()))
    for _ in range(draw(st.integers(0, 3))):
        place = draw(st.integers(0, len(data)))
        data[place : place + draw(st.integers(0, 2))] = draw(st.sampled_from([b"", b"\r\n", b"\n", b"\0", b":", b"0"]))
    return bytes(data[: draw(st.one_of(st.just(len(data)), st.integers(0, len(data))))])


cuts = st.lists(st.integers(0, 2500), max_size=5)
asks = st.sampled_from([WHOLE, Ask(start=10, overlap=5, if_range='"e"')])


@given(answers() | broken(), cuts, asks)
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_made_up_answers(loop, pair, data, places, ask):
    ours = alike(loop, pair, Reply.of(data, *places), Reply.of(GOOD), ask=ask)
    assert (ours[1].content, ours[1].error) == (b"the other", "")


@given(answers() | broken() | usual(), st.just([]) | cuts)
@settings(max_examples=500, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_the_reader_of_heads_and_chunks_reads_as_h11_does(data, places):
    check_reader(data, places)


@pytest.mark.parametrize(
    "head",
    [
        b'HTTP/1.1 200 OK\r\nServer: nginx\r\nContent-Length: 5\r\nConnection: keep-alive\r\nETag: "6-5"\r\n\r\n',
        b"HTTP/1.1 206 Partial Content\r\nx-amz-id-2: a+b/c=\r\nContent-Range:bytes 0-4/9\r\nContent-Length:5\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nx-goog-hash: crc32c=n03x6A==\r\nx-goog-hash: md5=XUFAKrxL==\r\ncontent-length: 5\r\n\r\n",
    ],
)
def test_what_storages_say_is_read_as_h11_does_and_without_it(head):
    check_reader(head + b"hello", [])
    dialogue = Dialogue()
    read = dialogue.feed(head + b"hello and more")
    assert read is not None
    assert (read.framing.room, read.rest) == (5, b"hello and more")
    assert "_h11" not in vars(dialogue)


FAULTS = [
    *(faults_wire.Frame(framing=framing) for framing in Framing),
    *(faults_wire.ErrorPage(form=form) for form in faults_wire.PageForm),
    *(faults_wire.Status(status=status) for status in (400, 403, 404, 410, 429, 500, 503)),
    faults_wire.Cut(),
    faults_wire.Cut(after=0),
    faults_wire.Stall(after=0, when=first(1)),
    faults_wire.Promise(),
    faults_wire.Promise(off=-1000),
    faults_wire.Longer(),
    faults_wire.Gzip(),
    faults_storage.Refused(),
    faults_storage.IgnoredRange(),
    faults_storage.WrongRange(),
    faults_storage.MultipartRange(),
    faults_storage.Changed(),
    faults_storage.Validators(),
    faults_storage.WrongChecksum(),
    faults_storage.Truncated(),
    faults_storage.Redirect(hops=2),
    faults_storage.Redirect(loop=True),
]
MADE = [replace(HEALTHY, name=f"{fault}"[:60], storage=(fault,)) for fault in FAULTS]


@pytest.mark.parametrize("scenario", [*SCENARIOS.values(), *MADE], ids=lambda scenario: scenario.name)
async def test_every_scenario_and_fault_of_the_sandbox(scenario):
    seen = []
    stalls = any(isinstance(fault, faults_wire.Stall) for fault in scenario.storage)
    async with Pair(read_timeout=1 if stalls else 60) as pair:
        for fetcher, _ in pair.sides:
            sandbox = Sandbox([SandboxJob("job", "Film", size=300_000)], scenario)
            async with running(sandbox):
                link = Link(sandbox.link(sandbox.store.get("job")), None)
                asked = (WHOLE, Ask(start=70_000, overlap=65_536), WHOLE, Ask(start=70_000, overlap=65_536))
                seen.append([timeless(await outcome_of(fetcher, link, ask)) for ask in asked])
    if any(isinstance(fault, faults_wire.Reset) for fault in scenario.storage):
        seen = [[until_reset(outcome, side[2].content) for outcome in side] for side in seen]
    ours, theirs = seen
    assert ours == theirs


def until_reset(outcome, whole):
    """How much arrives before a reset is the kernel's affair; that it is of the file, and no more than that, is not."""
    if not outcome.error.startswith("Interrupted"):
        return outcome
    assert whole.startswith(outcome.content)
    return replace(outcome, answer=None, content=b"", error="Interrupted")


proxy = st.sampled_from(["", "proxy", "proxy:3128", "http://proxy", "socks5://[::1]:9"])
host = st.sampled_from(
    ["", " ", "*", "localhost", "LOCALHOST", ".google.com", "10.0.0.1", "10.0.0.0/8", "::1", "fe80::/10", "http://x:8"]
)


@given(st.fixed_dictionaries({}, optional={"http": proxy, "https": proxy, "all": proxy}), st.lists(host))
def test_the_environment_is_read_as_httpx_reads_it(proxies, hosts):
    environment = {f"{scheme}_proxy": place for scheme, place in proxies.items() if place}
    environment |= {"no_proxy": ",".join(hosts)}
    with pytest.MonkeyPatch.context() as patch:
        for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
            patch.delenv(name, raising=False)
            patch.delenv(name.upper(), raising=False)
        for name, content in environment.items():
            patch.setenv(name, content)
        assert routes(getproxies_environment()) == httpx._utils.get_environment_proxies()
