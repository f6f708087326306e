"""`syncer completion`: the script that teaches a shell to complete syncer's commands."""

import click
from click.shell_completion import get_completion_class

SHELLS = ("bash", "zsh", "fish")

EPILOG = """\b
Put it where the shell reads it:
  bash   syncer completion bash > ~/.local/share/bash-completion/completions/syncer
  zsh    syncer completion zsh > "${fpath[1]}/_syncer"
  fish   syncer completion fish > ~/.config/fish/completions/syncer.fish
"""


@click.command("completion", epilog=EPILOG)
@click.argument("shell", type=click.Choice(SHELLS))
def completion_command(shell: str) -> None:
    """Print the completion script for SHELL."""
    from syncer.cli.root import syncer

    kind = get_completion_class(shell)
    if kind is None:
        raise click.UsageError(f"No completion for {shell}.")
    click.echo(kind(syncer, {}, "syncer", "_SYNCER_COMPLETE").source())
