"""What commands share: options that come from the table in `syncer.options`, and how settings are read from them."""

import asyncio
import functools
import logging
import sys
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

import click

from syncer import config
from syncer.core.errors import SyncerError
from syncer.options import BY_KEY, Option
from syncer.reporting.files import to_text

_log = logging.getLogger(__name__)

T = TypeVar("T")
Command = Callable[..., Any]

PLACE = ("config", "profile")
LEDGER = ("ledger",)
API = (
    "base_url",
    "api_key_file",
    "api_key_command",
    "api_key_keyring",
    "connect_timeout",
    "read_timeout",
    "api_rate",
    "page_size",
)
API_LINE = ("proxy", "ca_bundle")
CHOICE = ("include", "exclude", "since", "until")
LOG = ("log_format", "log_file")
TRANSFER = (
    "workers",
    "processes",
    "total_timeout",
    "tries",
    "name_template",
    "bwlimit",
    "max_file_size",
    "segments",
    "segment_size",
    "min_free",
    "catch_up",
    "prefer",
    "regenerate",
    "regenerate_wait",
    "report",
    "ping_url",
    "metrics_file",
    "notify",
)
LIMITS = ("max_files", "max_bytes", "max_duration")
HOOKS = ("on_stored", "on_pass", "hook_timeout")
PASS = (*LEDGER, *API, *TRANSFER, *CHOICE, *LIMITS, *HOOKS, *LOG, *API_LINE)


def takes_settings(*keys: str, dest_argument: bool = False, rereads: bool = False) -> Callable[[Command], Command]:
    """Give a command the options `keys`, --config and --profile; it receives a `settings` argument for them.

    With `dest_argument`, DEST may be given as an argument as well as by --dest. With `rereads`, the command receives
    `reread` too, which reads the settings once more.
    """

    def decorate(function: Command) -> Command:
        @functools.wraps(function)
        def run(**given: Any) -> Any:
            from syncer.reporting.log import configure, quieten_libraries, stderr_style

            flags = {key: given.pop(key) for key in (*keys, *PLACE, "dest") if key in given}
            positional = given.pop("dest_argument", None)
            if positional is not None:
                flags["dest"] = positional
            verbosity = int(given.get("verbose") or 0)
            quieten_libraries()
            configure(sys.stderr, verbosity, stderr_style(dated=verbosity > 1))
            settings = config.load(flags)
            if rereads:
                given["reread"] = functools.partial(config.load, flags)
            if "log_format" not in keys:
                return function(settings=settings, **given)
            set_up_log(settings, -1 if given.get("quiet") else verbosity, dated=rereads)
            return _logging_errors(settings, function, given)

        command: Command = run
        for key in reversed(keys):
            command = _option(BY_KEY[key])(command)
        if dest_argument:
            command = click.option("--dest", metavar="DEST", help="The same as the argument. [SYNCER_DEST]")(command)
            command = click.argument("dest_argument", metavar="[DEST]", required=False)(command)
        command = click.option("--profile", metavar="NAME", help="Table [profiles.NAME] to use. [SYNCER_PROFILE]")(
            command
        )
        return click.option("--config", metavar="FILE", help="TOML configuration file. [SYNCER_CONFIG]")(command)

    return decorate


def _logging_errors(settings: config.Settings, function: Command, given: dict[str, Any]) -> Any:
    """Run a command; where the log is for machines, what ends it is an entry like any other."""
    try:
        return function(settings=settings, **given)
    except SyncerError as error:
        if settings.log_format != "json":
            raise
        _log.error("%s", error)
        return error.exit_code


def set_up_log(settings: config.Settings, verbosity: int, *, dated: bool = False) -> None:
    """The log as the settings want it: on standard error, and in a file where one is named."""
    from syncer.reporting.log import configure, protect, stderr_style

    for secret in (settings.api_key, settings.ping_url, settings.proxy, *settings.notify):
        protect(secret or "")
    as_json = settings.log_format == "json"
    told = verbosity + 1 if (as_json or dated) and verbosity < 1 else verbosity  # quiet is -1
    style = stderr_style(as_json=as_json, dated=dated or verbosity > 1, shows_events=as_json or dated)
    configure(sys.stderr, told, style, settings.log_file)


def _option(option: Option) -> Callable[[Command], Command]:
    default = f" [default: {option.default}]" if option.default else ""
    text = f"{option.meaning}{default} [{option.env}]"
    if option.is_switch:
        return click.option(f"{option.flag}/--no-{option.flag[2:]}", option.key, default=None, help=text)
    if option.is_repeatable:
        return click.option(option.flag, option.key, multiple=True, metavar=option.metavar, help=text)
    return click.option(option.flag, option.key, metavar=option.metavar, help=text)


def verbosity(function: Command) -> Command:
    """-v and -q."""
    function = click.option("-v", "--verbose", count=True, help="Tell more; twice tells everything.")(function)
    return click.option("-q", "--quiet", is_flag=True, help="Nothing but errors; no bars, no summary.")(function)


json_option = click.option("--json", "as_json", is_flag=True, help="JSON on standard output, for scripts.")


def run_async(main: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine; what it raises comes out as it is."""
    return asyncio.run(main)


def emit_json(value: Any) -> None:
    """One JSON document on standard output."""
    click.echo(json_line(value, indent=2))


def json_line(value: Any, indent: int | None = None) -> str:
    """A value as JSON, fit for a terminal."""
    return to_text(value, indent)
