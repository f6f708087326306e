"""No secret comes through the log, whatever is logged, by whom, and in which form (I10)."""

import io
import json
import logging
import tempfile
import warnings
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from syncer.core.events import BytesArrived, Event
from syncer.reporting.eventlog import EventLog
from syncer.reporting.log import Style, configure, protect
from syncer.reporting.scrub import Scrubber

ODD_KEY = "Zm9v+odd/key=="  # looks like no key: hidden because it was named
protect(ODD_KEY)

ALNUM = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
SECRET = st.text(ALNUM, min_size=12, max_size=40).map(lambda text: f"Qz{text}")
SIGNED = st.sampled_from(
    [
        "https://storage.googleapis.com/b/f.mp4?X-Goog-Date=20261123T000000Z&X-Goog-Signature={}",
        "https://b.s3.amazonaws.com/f.mp4?X-Amz-Expires=86400&X-Amz-Credential={0}&X-Amz-Signature={0}",
        "https://cdn.videodb.io/f.mp4?Expires=1795000000&Signature={}&Key-Pair-Id=K",
        "HTTPS://x.blob.core.windows.net/v/f.mp4?se=2026-11-24&sig={}",
        "https://download.videodb.io/f%20g.mp4?token={}#t={}",
        "https://user:{}@storage.example/f.mp4",
        "/v/f.mp4?X-Goog-Signature={}",
        "x-access-token: {}",
        "{{'x-access-token': '{}'}}",
        "sk-{}",
    ]
)
NOISE = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
# What stands right before or behind a secret in a message, an argument, a repr.
AROUND = st.tuples(
    NOISE,
    st.sampled_from([" ", "\n", '"', "'", "(", "<", "=", ": "]),
    st.sampled_from(["", " ", '"', "'", ")", ">", "\n"]),
    NOISE,
)


@st.composite
def secrets(draw):
    """(text with a secret in it, the secret)."""
    before, opening, closing, after = draw(AROUND)
    secret = draw(SECRET | st.just(ODD_KEY))
    form = "{}" if secret == ODD_KEY else draw(SIGNED)
    return before + opening + form.format(secret, secret) + closing + (after if closing else ""), secret


class Talkative:
    def __init__(self, text):
        self.text = text

    def __str__(self):
        return self.text

    __repr__ = __str__


def shapes(text):
    """The same text in every shape that a value of a log entry has."""
    nested = [{"a": (text, {"b": [text]})}]
    for _ in range(9):
        nested = [nested]
    raw = [
        text,
        text.encode(),
        bytearray(text.encode()),
        Talkative(text),
        ValueError(text),
        Path(text.replace("\0", "")),
    ]
    return [*raw, [text], (text,), {text}, {text: 1}, {"a": {text: text}}, nested, None, 7, 1.5, True]


@contextmanager
def a_log(*, as_json):
    """A stream and a file that a log goes to; what they were sent."""
    root = logging.getLogger()
    kept, level = list(root.handlers), logging.getLogger("syncer").level
    root.handlers[:] = []
    stream = io.StringIO()
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "syncer.log"
        configure(stream, 2, Style(as_json=as_json, dated=True), str(file))
        try:
            yield lambda: stream.getvalue() + file.read_text(encoding="utf-8")
        finally:
            logging.captureWarnings(capture=False)
            for handler in root.handlers:
                handler.close()
            root.handlers[:] = kept
            logging.getLogger("syncer").setLevel(level)


def every_event(text):
    """Each kind of event, with the text wherever it takes one."""
    for kind in get_args(Event):
        values = {}
        for name, item in kind.__dataclass_fields__.items():
            if "datetime" in str(item.type):
                values[name] = datetime(2026, 11, 23, tzinfo=UTC)
            elif "str" in str(item.type):
                values[name] = text
            elif name in ("listing", "entry"):
                values[name] = item.type(1, 2, text) if name == "entry" else item.type()
            else:
                values[name] = 3
        yield kind(**values)


def log_everything(text):
    """Every way there is to log: ours, other libraries', warnings, exceptions, broken calls."""
    ours, theirs = logging.getLogger("syncer.runner.worker"), logging.getLogger("somelibrary.http")
    observer = EventLog()
    for event in every_event(text):
        observer.notify(event)
    for value in shapes(text):
        for log in (ours, theirs):
            log.warning("value %s and %r", value, value)
            log.error(value)
            log.error("named %(it)s", {"it": value})
        observer._log.warning("structured", value=value, **{"key " + text.replace("\0", ""): value})
        observer._log.warning(value)
    ours.error("broken %d %s", text)
    ours.info("url " + text)
    try:
        try:
            raise RuntimeError(text)  # noqa: TRY301
        except RuntimeError as inner:
            raise OSError(5, text) from inner
    except OSError:
        ours.exception("with a traceback: %s", text, stack_info=True)
        observer._log.exception(text)
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        logging.captureWarnings(capture=True)
        warnings.warn(text, UserWarning, stacklevel=1)


@pytest.mark.parametrize("as_json", [False, True])
@pytest.mark.parametrize("examples", [8, pytest.param(300, marks=[pytest.mark.long, pytest.mark.timeout(1800)])])
def test_whatever_is_logged_no_secret_is_seen(capfd, as_json, examples):
    @settings(max_examples=examples, deadline=None)
    @given(secrets())
    def check(given_secret):
        text, secret = given_secret
        with a_log(as_json=as_json) as written:
            log_everything(text)
            seen = written()
        # Something went through each of the ways.
        assert seen.count("named") >= 30
        assert seen.count("traceback") >= 2
        assert secret not in seen
        out, err = capfd.readouterr()
        assert secret not in out + err
        if as_json:
            for line in seen.splitlines():
                assert json.loads(line)["level"]

    check()


@given(
    st.recursive(
        st.none() | st.integers() | st.text(max_size=5),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(max_size=3), inner),
    )
)
def test_what_holds_no_secret_is_left_as_it_is(value):
    assert Scrubber()(None, "", {"value": value})["value"] == _below(value, 0)


def _below(value, depth):
    if depth >= 6 and isinstance(value, list | dict):
        return str(value)
    if isinstance(value, list):
        return [_below(item, depth + 1) for item in value]
    if isinstance(value, dict):
        return {key: _below(item, depth + 1) for key, item in value.items()}
    return value


def test_an_event_of_bytes_is_not_logged():
    with a_log(as_json=True) as written:
        EventLog().notify(BytesArrived("a", 5))
        assert written() == ""
