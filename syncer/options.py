"""The options of syncer, each once: its flag, its variable, its TOML key, its meaning, and how its value is read."""

import re
import shlex
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar
from urllib.parse import urlsplit

from syncer.core.errors import UsageError
from syncer.core.naming import DEFAULT_TEMPLATE, check_template
from syncer.core.timetable import Timetable, parse_size, parse_timetable

N = TypeVar("N", int, float)

_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|m|h|d|w)?", re.IGNORECASE)
_SECONDS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}


def text(value: Any) -> str:
    """Any text that is not blank."""
    if not isinstance(value, str) or not value.strip():
        raise UsageError(f"{value!r} is no text.")
    return value


def whole_number(low: int, high: int) -> Callable[[Any], int]:
    """A whole number within bounds."""

    def parse(value: Any) -> int:
        found = _converted(int, value, (int, str))
        if found is None:
            raise UsageError(f"{value!r} is no whole number.")
        if not low <= found <= high:
            raise UsageError(f"{found} is not between {low} and {high}.")
        return found

    return parse


def number(low: float, high: float) -> Callable[[Any], float]:
    """A number within bounds."""

    def parse(value: Any) -> float:
        found = _converted(float, value, (int, float, str))
        if found is None:
            raise UsageError(f"{value!r} is no number.")
        if not low <= found <= high:
            raise UsageError(f"{found:g} is not between {low:g} and {high:g}.")
        return found

    return parse


def _converted(to: Callable[[Any], N], value: Any, kinds: tuple[type, ...]) -> N | None:
    """`value` as a number; None where it is not one. True is a number to Python, and to nobody else."""
    if isinstance(value, bool) or not isinstance(value, kinds):
        return None
    try:
        return to(value)
    except ValueError:
        return None


def seconds(value: Any) -> float:
    """Seconds from `30`, `1.5`, `500ms`, `2m`, `1h`."""
    match = _DURATION.fullmatch(str(value).strip()) if not isinstance(value, bool) else None
    if match is None:
        raise UsageError(f"{value!r} is no length of time.", hint="Write seconds, or 500ms, 2m, 1h.")
    found = float(match[1]) * _SECONDS[(match[2] or "s").lower()]
    if not 0 < found <= 86400:
        raise UsageError(f"{value!r} is not between 0 and a day.")
    return found


def boolean(value: Any) -> bool:
    """True and false, and what people write for them."""
    if isinstance(value, bool):
        return value
    word = str(value).strip().lower()
    if word in ("1", "true", "yes", "on"):
        return True
    if word in ("0", "false", "no", "off", ""):
        return False
    raise UsageError(f"{value!r} is neither true nor false.")


def globs(value: Any) -> tuple[str, ...]:
    """Name globs: a list, or text with commas between them."""
    if isinstance(value, str):
        value = value.split(",")
    if not isinstance(value, list | tuple) or not all(isinstance(item, str) for item in value):
        raise UsageError(f"{value!r} is no list of globs.")
    return tuple(item.strip() for item in value if item.strip())


def words(value: Any) -> tuple[str, ...]:
    """Several texts: a list, or text with blanks between them."""
    if isinstance(value, str):
        value = value.split()
    if not isinstance(value, list | tuple) or not all(isinstance(item, str) and item.strip() for item in value):
        raise UsageError("This is no list of texts.")
    return tuple(item.strip() for item in value)


def moment(value: Any) -> datetime:
    """A time in UTC from an ISO date or time, or from how long ago it was: `2026-11-01`, `36h`, `7d`."""
    word = str(value).strip()
    match = _DURATION.fullmatch(word)
    try:
        if match is not None and match[2]:
            return datetime.now(UTC) - timedelta(seconds=float(match[1]) * _SECONDS[match[2].lower()])
        found = _in_utc(datetime.fromisoformat(word))
    except (ValueError, OverflowError):
        raise UsageError(
            f"{value!r} is no time.", hint="Write 2026-11-01, 2026-11-01T12:00Z, or 7d for a week ago."
        ) from None
    return found


def _in_utc(found: datetime) -> datetime:
    return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)


def url(value: Any) -> str:
    """An absolute http or https URL, without a slash at its end."""
    word = text(value).strip()
    try:
        parts = urlsplit(word)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if not usable:
        raise UsageError("This is no http or https URL.", hint="For example https://api.videodb.io.")
    return word.rstrip("/")


def folder(value: Any) -> str:
    """A destination: a folder. A URL is told apart by its scheme."""
    word = text(value)
    scheme, separator, _ = word.partition("://")
    if separator and scheme.isalnum():
        raise UsageError(f"Destinations of the kind {scheme}:// are not known to this version.", hint="Name a folder.")
    return word


def template(value: Any) -> str:
    """A name template that can be used."""
    word = text(value)
    check_template(word)
    return word


def one_of(*allowed: str) -> Callable[[Any], str]:
    """One of a few words."""

    def parse(value: Any) -> str:
        word = str(value).strip().lower()
        if word not in allowed:
            raise UsageError(f"{value!r} is none of {', '.join(allowed)}.")
        return word

    return parse


def segment(value: Any) -> int:
    """A size that is worth a request of its own."""
    found = size(value)
    if found < 64 * 1024:
        raise UsageError(f"{value!r} is less than 64k: a request for so little costs more than it brings.")
    return found


def size_limit(value: Any) -> int | None:
    """A number of bytes such as `500M` or `1T`; None for `off`."""
    word = str(value).strip()
    if word.lower() == "off":
        return None
    found = parse_size(word)
    if found == 0:
        raise UsageError("A limit of 0 bytes would fetch nothing.", hint="Write 500M, 20G, or off.")
    return found


def address(value: Any) -> tuple[str, int]:
    """Host and port from `9110`, `:9110`, `0.0.0.0:9110` or `[::1]:9110`; without a host, this machine alone."""
    word = str(value).strip() if not isinstance(value, bool) else ""
    host, _, port = word.rpartition(":")
    if not (port.isascii() and port.isdigit()) or int(port) > 65535 or (":" in host and not host.startswith("[")):
        raise UsageError(f"{value!r} is no address to listen on.", hint="Write 9110, 127.0.0.1:9110 or [::1]:9110.")
    return host.strip("[]") or "127.0.0.1", int(port)


def rate(value: Any) -> int:
    """Bytes a second."""
    found = parse_size(str(value))
    if found == 0:
        raise UsageError("A line that carries nothing brings nothing.", hint="Write a rate such as 20M.")
    return found


def command(value: Any) -> tuple[str, ...]:
    """A program and its arguments, quoted as a shell would have it; no shell is run."""
    if isinstance(value, str):
        try:
            value = shlex.split(value)
        except ValueError as error:
            raise UsageError(f"The command cannot be read: {error}.", hint="Check its quotes.") from None
    if not isinstance(value, list | tuple) or not value or not all(isinstance(item, str) for item in value):
        raise UsageError("This is no command.", hint="Write a program and its arguments.")
    return tuple(value)


def timetable(value: Any) -> Timetable:
    """A bandwidth limit."""
    return parse_timetable(str(value))


def size(value: Any) -> int:
    """Bytes from `256M`, `10G`, `0`."""
    if isinstance(value, bool):
        raise UsageError(f"{value!r} is not a number of bytes.", hint="Write 500k, 2M or 1.5G.")
    return parse_size(str(value))


@dataclass(frozen=True, slots=True)
class Option:
    """One thing a user can say. `key` is its name in TOML; flag and variable follow from it."""

    key: str
    meaning: str  # for --help and the README
    parse: Callable[[Any], Any]
    metavar: str = "TEXT"
    default: str = ""  # as shown to people
    variable: str = ""  # where it is not SYNCER_<KEY>
    is_repeatable: bool = False
    is_described: bool = False  # `default` says in words what is done, and is no value
    is_secret: bool = False  # its value may hold a password, and is not shown

    @property
    def env(self) -> str:
        return self.variable or f"SYNCER_{self.key.upper()}"

    @property
    def flag(self) -> str:
        return f"--{self.key.replace('_', '-')}"

    @property
    def is_switch(self) -> bool:
        return self.parse is boolean


OPTIONS: tuple[Option, ...] = (
    Option("dest", "Destination folder; as an argument too.", folder, "DEST"),
    Option(
        "ledger",
        "Ledger file or SQLAlchemy URL; keep it on a local disk.",
        text,
        "PATH",
        "in the user's state folder",
        is_described=True,
    ),
    Option("base_url", "The API.", url, "URL", "https://api.videodb.io", variable="VIDEO_DB_BASE_URL"),
    Option("api_key_file", "File whose first line is the API key.", text, "FILE"),
    Option("api_key_command", "Command whose first line of output is the API key.", text, "COMMAND"),
    Option(
        "api_key_keyring",
        "Entry of the system's keyring that holds the API key: SERVICE or SERVICE/USER.",
        text,
        "ENTRY",
    ),
    Option("workers", "Files fetched at once.", whole_number(1, 64), "N", "4"),
    Option(
        "processes",
        "Processes that bring files where one processor is too little, no more than there are; 1 for a single one.",
        whole_number(1, 16),
        "N",
        "2",
    ),
    Option("connect_timeout", "Time to wait for a connection.", seconds, "SECONDS", "15"),
    Option("read_timeout", "Time without a byte after which a transfer counts as stalled.", seconds, "SECONDS", "60"),
    Option(
        "total_timeout",
        "Time that one answer may take in all: 6h. What came by then is kept, and a new try goes on.",
        seconds,
        "TIME",
    ),
    Option(
        "tries",
        "Tries a file gets in one pass, those that brought it further not counted.",
        whole_number(1, 100),
        "N",
        "5",
    ),
    Option("api_rate", "Requests a second to the API, at the most.", number(0.1, 1000), "N", "5"),
    Option("page_size", "Entries to ask for in one page of the list.", whole_number(1, 5000), "N", "5000"),
    Option(
        "name_template",
        "Where a file goes: {created:%Y}, {stem}, {name}, {id}, {ext}.",
        template,
        "TEMPLATE",
        DEFAULT_TEMPLATE,
    ),
    Option(
        "bwlimit",
        "Bytes a second, or a timetable: '2M', '08:00,2M 23:00,off'.",
        timetable,
        "RATE",
        "no limit",
        is_described=True,
    ),
    Option(
        "max_file_size",
        "Fetch no file larger than this, such as 20G, and no body that does not end before it; or off.",
        size_limit,
        "SIZE",
        "1T",
    ),
    Option(
        "segments",
        "Connections that one large file may have, out of --workers and while no other file needs them; 1 for one.",
        whole_number(1, 64),
        "N",
        "4",
    ),
    Option("segment_size", "Bytes that each of them is asked for at the least, such as 64M.", segment, "SIZE", "4M"),
    Option(
        "min_free",
        "Free space to leave in the destination: '256M', '10G', 0 for none.",
        size,
        "SIZE",
        "256M, less on small disks",
        is_described=True,
    ),
    Option("rate", "For `plan`: the line in bytes a second, in place of what past passes measured: 20M.", rate, "RATE"),
    Option("include", "Only jobs whose name matches this glob; repeatable.", globs, "GLOB", is_repeatable=True),
    Option("exclude", "No jobs whose name matches this glob; repeatable.", globs, "GLOB", is_repeatable=True),
    Option("since", "Only jobs created at or after this: 2026-11-01, or 7d for a week ago.", moment, "TIME"),
    Option("until", "Only jobs created before this.", moment, "TIME"),
    Option(
        "catch_up",
        "Save the most before links die: ask for sizes first, and tell what is saved, at risk and lost.",
        boolean,
        "",
        "off",
    ),
    Option(
        "prefer",
        "What counts where links die too soon for everything: the most files, or the most bytes.",
        one_of("files", "bytes"),
        "WHAT",
        "files",
    ),
    Option(
        "regenerate",
        "Let a lost or failed job be made again, three times at most; VideoDB may bill it.",
        boolean,
        "",
        "off",
    ),
    Option(
        "regenerate_wait",
        "How long a pass with nothing else to do waits for jobs that are made again: 10m.",
        seconds,
        "SECONDS",
        "120",
    ),
    Option("report", "Write the run report as JSON; - for standard output.", text, "FILE"),
    Option(
        "ping_url",
        "Dead-man's switch: URL/start, then URL when all is well, else URL/fail.",
        url,
        "URL",
        is_secret=True,
    ),
    Option("metrics_file", "Write Prometheus metrics after the pass, for node_exporter.", text, "FILE"),
    Option(
        "notify",
        "Apprise URL to tell when a pass fails, loses files or recovers; repeatable.",
        words,
        "URL",
        is_repeatable=True,
        is_secret=True,
    ),
    Option(
        "log_format",
        "How to log: lines for people, or json, one event a line.",
        one_of("human", "json"),
        "FORMAT",
        "human",
    ),
    Option("log_file", "Log to this file as well, every event; put aside at 10 MiB, five are kept.", text, "FILE"),
    Option("max_files", "Fetch no more than this many files in a pass.", whole_number(1, 10**9), "N"),
    Option("max_bytes", "Fetch no more than this in a pass: 500M, 20G.", size_limit, "SIZE", "off"),
    Option("max_duration", "Fetch no longer than this in a pass: 90m, 6h.", seconds, "TIME"),
    Option("on_stored", "Command to run for each stored file; told by its environment.", command, "COMMAND"),
    Option("on_pass", "Command to run after each pass; told by its environment.", command, "COMMAND"),
    Option("hook_timeout", "Time such a command may take.", seconds, "TIME", "60"),
    Option(
        "interval",
        "Time from the end of a pass of `watch` to the next; less where something asks for it.",
        seconds,
        "TIME",
        "1h",
    ),
    Option("listen", "Where `watch` answers for /metrics and /healthz: 9110, 127.0.0.1:9110.", address, "[HOST:]PORT"),
    Option("proxy", "HTTP proxy; HTTPS_PROXY and its kin are honoured too.", url, "URL", is_secret=True),
    Option("ca_bundle", "CA certificates to trust instead of the system's.", text, "FILE"),
)
"""In the order of the help text."""

BY_KEY = {option.key: option for option in OPTIONS}
