"""`python -m tests.benchmarks`: syncer beside rclone, curl, wget2, aria2 and a plain loop, on this machine."""

import sys
from pathlib import Path

import click

from tests.benchmarks import million, suite, table, thin
from tests.benchmarks.clients import CLIENTS
from tests.benchmarks.corpus import CORPORA
from tests.benchmarks.servers import ROOT

DOCUMENT = ROOT / "docs" / "performance.md"


@click.command()
@click.option("--only", multiple=True, type=click.Choice(list(CORPORA)), help="These corpora; repeatable. [all]")
@click.option("--scheme", "schemes", multiple=True, type=click.Choice(["http", "https"]), help="[both]")
@click.option("--client", "names", multiple=True, type=click.Choice([c.name for c in CLIENTS]), help="[all]")
@click.option("--scale", default=1.0, help="So much of each corpus.", show_default=True)
@click.option("--rounds", default=5, show_default=True)
@click.option("--slow-rounds", default=1, help="For the plain loops and aria2.", show_default=True)
@click.option("--workers", default=16, help="Files at once, for every client.", show_default=True)
@click.option("--temp", type=click.Path(path_type=Path, exists=True), help="Where the files go. [the system's]")
@click.option("--million", "jobs", type=int, is_flag=False, flag_value=1_000_000, help="Measure a list that long.")
@click.option("--thin", "is_thin", is_flag=True, help="Measure one file where each connection gets little.")
@click.option("--write", is_flag=True, help=f"Put table and picture into {DOCUMENT.name}.")
def main(
    *,
    only: tuple[str, ...],
    schemes: tuple[str, ...],
    names: tuple[str, ...],
    scale: float,
    rounds: int,
    slow_rounds: int,
    workers: int,
    temp: Path | None,
    jobs: int | None,
    is_thin: bool,
    write: bool,
) -> None:
    """Measure; the table goes to standard output, what is going on to standard error."""
    if jobs is not None:
        text = million.table(jobs, million.measure_million(jobs, temp, _tell))
        click.echo(text)
        if write:
            table.into(DOCUMENT, table.MILLION, text)
        return
    if is_thin:
        text = thin.table(thin.measure_thin(rounds, temp, _tell))
        click.echo(text)
        if write:
            table.into(DOCUMENT, table.THIN, text)
        return
    corpora = tuple(CORPORA[name].scaled(scale) for name in only or CORPORA)
    wish = suite.Wish(corpora, schemes or ("http", "https"), names, rounds, slow_rounds, workers, temp)
    machine, found = suite.measure_all(wish, _tell)
    text = table.markdown(machine, found)
    click.echo(text)
    if write:
        table.into(DOCUMENT, table.FIGURES, text)
        table.draw(found, DOCUMENT.with_suffix(".png"))
        DOCUMENT.with_suffix(".json").write_text(suite.to_json(machine, found))


def _tell(line: str) -> None:
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()


if __name__ == "__main__":
    main()
