"""Flags, environment and TOML into one frozen Settings, read once. Flags win over environment over file."""

import difflib
import os
import shlex
import subprocess
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from platformdirs import user_config_path, user_state_path

from syncer import options as opt
from syncer.core.errors import UsageError
from syncer.core.naming import DEFAULT_TEMPLATE
from syncer.core.timetable import Timetable

KEY_VARIABLES = ("VIDEO_DB_API_KEY", "VIDEODB_API_KEY")
"""Where the key itself may stand; the first is the SDK's name."""

KEY_WAYS = ("api_key_file", "api_key_command", "api_key_keyring")
"""The options that say where the key is to be had."""

KEY_COMMAND_TIMEOUT = 30.0
"""Seconds a key command may take, a password prompt included."""


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything a user can say, checked. Times in seconds, rates in bytes a second."""

    dest: str | None = None
    ledger: str = ""  # a file path or a SQLAlchemy URL; empty: see `ledger_location`
    base_url: str = "https://api.videodb.io"
    api_key: str | None = field(default=None, repr=False)
    api_key_file: str | None = None
    api_key_command: str | None = None
    api_key_keyring: str | None = None  # SERVICE or SERVICE/USER
    workers: int = 4
    processes: int = 2
    connect_timeout: float = 15.0
    read_timeout: float = 60.0
    total_timeout: float | None = None
    tries: int = 5
    api_rate: float = 5.0  # requests a second to the API
    page_size: int = 5000
    name_template: str = DEFAULT_TEMPLATE
    bwlimit: Timetable = field(default_factory=Timetable)
    max_file_size: int | None = 1024**4  # bytes
    segments: int = 4  # connections of one large file
    segment_size: int = 4 * 1024**2  # bytes
    min_free: int | None = None  # bytes; None: see core.space
    rate: int | None = None
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    since: datetime | None = None
    until: datetime | None = None
    prefer: str = "files"
    catch_up: bool = False
    regenerate: bool = False
    regenerate_wait: float = 120.0
    report: str | None = None
    ping_url: str | None = field(default=None, repr=False)
    metrics_file: str | None = None
    notify: tuple[str, ...] = field(default=(), repr=False)
    log_format: str = "human"
    log_file: str | None = None
    max_files: int | None = None
    max_bytes: int | None = None
    max_duration: float | None = None
    on_stored: tuple[str, ...] = ()
    on_pass: tuple[str, ...] = ()
    hook_timeout: float = 60.0
    interval: float = 3600.0  # of a watch
    listen: tuple[str, int] | None = None  # of a watch
    proxy: str | None = field(default=None, repr=False)
    ca_bundle: str | None = None
    profile: str | None = None

    def __post_init__(self) -> None:
        ways = [way for way in KEY_WAYS if getattr(self, way)]
        if len(ways) > 1:
            raise UsageError(f"Several ways to the API key are set: {', '.join(ways)}.", hint="Keep one of them.")

    @property
    def ledger_location(self) -> str:
        """Where the ledger is: as set, else in the user's state folder, one a profile."""
        if self.ledger:
            return self.ledger
        folder = _of_user(user_state_path)
        if folder is None:
            raise UsageError("There is no home directory to keep the ledger in.", hint="Give --ledger, or set HOME.")
        return str(folder / f"{self.profile or 'default'}.db")

    @property
    def destination(self) -> str:
        """The destination. Raises UsageError where none is set."""
        if not self.dest:
            raise UsageError(
                "No destination is given.",
                hint="Name the folder: `syncer run /path/to/folder`, or set SYNCER_DEST or `dest` in the config file.",
            )
        return self.dest


@dataclass(frozen=True, slots=True)
class Found:
    """A value, as it was said and as it was understood, and who said it."""

    value: Any = field(repr=False)
    said: Any = field(repr=False)
    place: str  # `--workers`, `SYNCER_WORKERS`, or the key and its file


@dataclass(frozen=True, slots=True)
class Origins:
    """Settings and where each came from; an option that nobody set is not in `found`."""

    settings: Settings
    found: Mapping[str, Found]
    file: Path | None  # the configuration file that was read


def load(flags: Mapping[str, Any] | None = None, environ: Mapping[str, str] | None = None) -> Settings:
    """Settings from what was given on the command line, the environment and the configuration file.

    `flags` holds what was really given, by option key; None and empty tuples count as not given. Raises UsageError
    naming the place of what cannot be used.
    """
    return trace(flags, environ).settings


def trace(flags: Mapping[str, Any] | None = None, environ: Mapping[str, str] | None = None) -> Origins:
    """What `load` gives, and where each value came from."""
    flags = {key: value for key, value in (flags or {}).items() if value is not None and value != ()}
    environ = os.environ if environ is None else environ
    path, tables = _read_file(flags.get("config") or environ.get("SYNCER_CONFIG"))
    profile = flags.get("profile") or environ.get("SYNCER_PROFILE") or None
    chosen = _profile_table(profile, tables, path)
    found: dict[str, Found] = {}
    places = ((f"[profiles.{profile}] of {path}", chosen), (str(path), tables))
    for option in opt.OPTIONS:
        one = _find(option, flags, environ, places)
        if one is not None:
            found[option.key] = one
    _settle_key(found, flags, environ)
    known = {f.name for f in fields(Settings)}
    values = {key: one.value for key, one in found.items() if key in known}
    return Origins(Settings(profile=profile, **values), found, path)


def _find(
    option: opt.Option,
    flags: Mapping[str, Any],
    environ: Mapping[str, str],
    tables: tuple[tuple[str, Mapping[str, Any]], ...],
) -> Found | None:
    if option.key in flags:
        return _parsed(option, flags[option.key], option.flag)
    if environ.get(option.env):
        return _parsed(option, environ[option.env], option.env)
    for place, table in tables:
        if option.key in table:
            return _parsed(option, table[option.key], f"`{option.key}` in {place}")
    return None


def _parsed(option: opt.Option, value: Any, place: str) -> Found:
    try:
        return Found(option.parse(value), value, place)
    except UsageError as error:
        raise UsageError(f"{place}: {error.message}", hint=error.hint) from None


def _settle_key(found: dict[str, Found], flags: Mapping[str, Any], environ: Mapping[str, str]) -> None:
    """Decide between the key itself and the ways to get it, by who said so: flags, then environment, then file."""
    said = {way for way in KEY_WAYS if way in flags} or {way for way in KEY_WAYS if environ.get(opt.BY_KEY[way].env)}
    name = next((name for name in KEY_VARIABLES if environ.get(name)), None)
    if said or name:
        for way in set(KEY_WAYS) - said:
            found.pop(way, None)
    if name and not said:
        found["api_key"] = Found(environ[name].strip(), None, name)


def usual_file() -> Path:
    """Where the configuration file is when nobody says otherwise; a user without a home directory has none."""
    return (_of_user(user_config_path) or Path("/nonexistent")) / "config.toml"


def _of_user(folder: Callable[[str], Path]) -> Path | None:
    """The user's own folder for syncer; None where there is no home: as a number that is nobody's, in a container."""
    try:
        found = folder("syncer")
    except RuntimeError:
        return None
    return found if found.is_absolute() else None


def _read_file(named: str | None) -> tuple[Path | None, dict[str, Any]]:
    path = Path(named).expanduser() if named else usual_file()
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        if named:
            raise UsageError(
                f"There is no configuration file {path}.", hint="Check --config or SYNCER_CONFIG."
            ) from None
        return None, {}
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"The configuration file {path} cannot be read: {error}.") from None
    try:
        tables = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"The configuration file {path} is not valid TOML: {error}.") from None
    _check_keys(tables, path)
    return path, tables


def _check_keys(tables: Mapping[str, Any], path: Path) -> None:
    known = {option.key for option in opt.OPTIONS}
    profiles = tables.get("profiles", {})
    if not isinstance(profiles, dict) or not all(isinstance(table, dict) for table in profiles.values()):
        raise UsageError(f"`profiles` in {path} must hold tables.", hint="Write [profiles.NAME] and keys below it.")
    for place, table, extra in (
        ("", tables, {"profiles"}),
        *((f"profiles.{n}", t, set()) for n, t in profiles.items()),
    ):
        for key in table:
            if key not in known | extra:
                raise _unknown_key(key, f"[{place}] of {path}" if place else str(path), sorted(known))


def _unknown_key(key: str, place: str, known: list[str]) -> UsageError:
    if key in ("api_key", "key", "token"):
        return UsageError(
            f"The API key itself may not stand in {place}.",
            hint="Use api_key_file, api_key_command, or the environment variable VIDEO_DB_API_KEY.",
        )
    near = difflib.get_close_matches(key.replace("-", "_"), known, n=1)
    hint = f"Did you mean `{near[0]}`?" if near else f"Known keys: {', '.join(known)}."
    return UsageError(f"Unknown key `{key}` in {place}.", hint=hint)


def _profile_table(profile: str | None, tables: Mapping[str, Any], path: Path | None) -> Mapping[str, Any]:
    if profile is None:
        return {}
    if "/" in profile or profile.startswith("."):
        raise UsageError(f"{profile!r} is no name for a profile.", hint="Use letters, digits, - and _.")
    profiles: Mapping[str, Mapping[str, Any]] = tables.get("profiles", {})
    if profile not in profiles:
        where = path or usual_file()
        names = ", ".join(sorted(profiles)) or "none"
        raise UsageError(
            f"There is no profile {profile!r} in {where}.",
            hint=f"Profiles there: {names}. Add a table [profiles.{profile}].",
        )
    return profiles[profile]


def resolve_key(settings: Settings) -> str:
    """The API key, from wherever the settings say. Raises UsageError; never shows what it read."""
    if settings.api_key_file:
        key, place = _key_from_file(Path(settings.api_key_file).expanduser()), settings.api_key_file
    elif settings.api_key_command:
        key, place = _key_from_command(settings.api_key_command), "the key command"
    elif settings.api_key_keyring:
        key, place = _key_from_keyring(settings.api_key_keyring), "the keyring"
    elif settings.api_key:
        key, place = settings.api_key, "the environment"
    else:
        raise UsageError(
            "There is no API key.",
            hint="Set VIDEO_DB_API_KEY, or give --api-key-file, --api-key-command or --api-key-keyring. "
            "Keys are made at https://console.videodb.io; `syncer demo` needs none.",
        )
    if not key:
        raise UsageError(f"The API key from {place} is empty.")
    if not key.isascii() or not key.isprintable() or " " in key:
        raise UsageError(f"The API key from {place} has characters that no key has.", hint="One line, nothing else.")
    return key


def with_key(settings: Settings) -> Settings:
    """The settings with the key itself in them, so that it is asked for once. Raises UsageError."""
    key = resolve_key(settings)
    return replace(settings, api_key=key, api_key_file=None, api_key_command=None, api_key_keyring=None)


def _key_from_file(path: Path) -> str:
    try:
        return _first_line(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not text"
        raise UsageError(f"The key file {path} cannot be read: {reason}.", hint="Check --api-key-file.") from None


def _key_from_command(command: str) -> str:
    try:
        done = subprocess.run(  # noqa: S603 - the user's own command, without a shell
            shlex.split(command), stdout=subprocess.PIPE, text=True, timeout=KEY_COMMAND_TIMEOUT, check=False
        )
    except subprocess.TimeoutExpired:
        raise UsageError(f"The key command took longer than {KEY_COMMAND_TIMEOUT:.0f} s.") from None
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise UsageError(f"The key command cannot be run: {reason}.", hint="Check --api-key-command.") from None
    if done.returncode != 0:
        raise UsageError(f"The key command ended with {done.returncode}.", hint="Run it by hand to see why.")
    return _first_line(done.stdout)


def _key_from_keyring(entry: str) -> str:
    try:
        import keyring  # noqa: PLC0415 - an extra
        from keyring.errors import KeyringError  # noqa: PLC0415
    except ImportError:
        raise UsageError("--api-key-keyring needs keyring.", hint="pip install 'videodb-syncer[keyring]'") from None
    service, _, user = entry.partition("/")
    user = user or "api-key"
    try:
        key = keyring.get_password(service, user)
    except KeyringError as error:
        raise UsageError(
            f"The keyring cannot be read ({type(error).__name__}).", hint="Is it unlocked, and there in this session?"
        ) from None
    if key is None:
        raise UsageError(
            f"The keyring has no entry {service}/{user}.", hint=f"Make it with `keyring set {service} {user}`."
        )
    return key.strip()


def _first_line(text: str) -> str:
    return next((line.strip() for line in text.splitlines() if line.strip()), "")
