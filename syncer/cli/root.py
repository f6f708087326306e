"""The `syncer` command and its groups; a command's module is loaded when the command is used."""

from importlib import import_module
from typing import Any

import click
from click.shell_completion import CompletionItem

from syncer._version import __version__

COMMANDS = {
    "run": ("syncer.cli.run", "Bring home every finished download that is not there yet."),
    "watch": ("syncer.cli.watch", "Bring home what is finished, pass after pass, until stopped."),
    "plan": ("syncer.cli.plan", "Tell what a pass would fetch; write nothing."),
    "status": ("syncer.cli.ledger", "Tell what the ledger knows, at a glance."),
    "list": ("syncer.cli.ledger", "List the jobs the ledger knows."),
    "report": ("syncer.cli.report", "Look back on the last passes; --html makes a page with charts."),
    "retry": ("syncer.cli.ledger", "Put failed, lost or stored entries back for the next pass."),
    "verify": ("syncer.cli.verify", "Read stored files back and compare them with the ledger."),
    "adopt": ("syncer.cli.adopt", "Take a destination that is filled already into a new ledger."),
    "doctor": ("syncer.cli.doctor", "Check key, API, storage, destination and ledger."),
    "ledger": ("syncer.cli.ledger", "Look after the ledger itself."),
    "init": ("syncer.cli.init", "Write a commented configuration file."),
    "config": ("syncer.cli.config", "Tell what is set, and who set it."),
    "demo": ("syncer.cli.demo", "A full sync against a built-in sandbox; nothing to set up."),
    "sandbox": ("syncer.cli.sandbox", "Run the stand-in for VideoDB by itself."),
    "completion": ("syncer.cli.completion", "Print the completion script for a shell."),
}

EPILOG = """\b
Examples:
  syncer demo                                 see it work, no account needed
  VIDEO_DB_API_KEY=sk-… syncer run ~/Videos   bring everything home
  syncer plan ~/Videos                        what would that fetch?
  syncer status                               what is archived, what is not

Exit codes: 0 all is well, 2 usage, 3 key refused, 4 listing failed, 5 destination unusable,
6 some files pending, 7 files lost to expiry, 8 another pass is running, 9 ledger damaged or newer,
10 `verify` found missing or changed files, 130/143 stopped by a signal.
"""


class Lazy(click.Group):
    """A group that knows its commands' names and one-line helps without loading them."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        if cmd_name not in COMMANDS:
            return None
        module = import_module(COMMANDS[cmd_name][0])
        command = getattr(module, f"{cmd_name}_command")
        return command if isinstance(command, click.Command) else None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in COMMANDS.items()])

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Names and options; no command is loaded for it, unlike in click's own way."""
        named = [CompletionItem(name, help=text) for name, (_, text) in COMMANDS.items() if name.startswith(incomplete)]
        return named + click.Command.shell_complete(self, ctx, incomplete)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            raise _suggest(error, args) from None


def _suggest(error: click.UsageError, args: list[str]) -> click.UsageError:
    import difflib

    near = difflib.get_close_matches(args[0], COMMANDS, n=1) if args else []
    if not near or "Did you mean" in error.message:
        return error
    return click.UsageError(f"{error.message} Did you mean `{near[0]}`?", error.ctx)


@click.group(
    cls=Lazy, epilog=EPILOG, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110}
)
@click.version_option(__version__, prog_name="syncer", message="%(prog)s %(version)s")
def syncer(**_: Any) -> None:
    """Bring every finished VideoDB download home before its link dies.

    Nothing is lost silently, and nothing half-fetched is ever taken for whole.
    """
