"""What is installed is what is tested: the package, its types, its migrations."""

from importlib.metadata import distribution, version
from importlib.resources import files

import pytest

import syncer
from syncer.ledger.schema import scripts


def test_the_distribution_and_the_package_agree_on_the_version():
    assert version("videodb-syncer") == syncer.__version__


def test_public_names_are_there():
    for name in syncer.__all__:
        assert getattr(syncer, name) is not None
    with pytest.raises(AttributeError):
        _ = syncer.nothing_such


def test_types_and_migrations_come_along():
    assert files("syncer").joinpath("py.typed").is_file()
    assert (scripts() / "env.py").is_file()
    assert list((scripts() / "versions").glob("0001*.py"))


def test_the_command_is_installed():
    names = {entry.name for entry in distribution("videodb-syncer").entry_points}
    assert "syncer" in names
