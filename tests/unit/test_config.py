"""Settings: who wins, what is refused, and where the key comes from."""

import sys
from dataclasses import fields
from datetime import UTC, datetime
from pathlib import Path

import pytest

from syncer import config as config_module
from syncer.config import Settings, load, resolve_key
from syncer.core.errors import UsageError
from syncer.options import OPTIONS


@pytest.fixture
def config(tmp_path):
    def write(text):
        path = tmp_path / "config.toml"
        path.write_text(text, encoding="utf-8")
        return str(path)

    return write


@pytest.fixture(autouse=True)
def nobodys_home(tmp_path, monkeypatch):
    for name in ("HOME", "XDG_CONFIG_HOME", "XDG_STATE_HOME"):
        monkeypatch.setenv(name, str(tmp_path / "home"))


def test_every_option_is_a_setting():
    assert {o.key for o in OPTIONS} <= {f.name for f in fields(Settings)}


def test_flags_win_over_environment_over_profile_over_file(config):
    path = config(
        "workers = 2\ntries = 2\napi_rate = 2\npage_size = 2\n[profiles.p]\nworkers = 3\ntries = 3\napi_rate = 3\n"
    )
    environ = {"SYNCER_WORKERS": "4", "SYNCER_TRIES": "4", "SYNCER_CONFIG": path, "SYNCER_PROFILE": "p"}
    found = load({"workers": "5"}, environ)
    assert (found.workers, found.tries, found.api_rate, found.page_size) == (5, 4, 3.0, 2)


def test_an_unset_flag_and_an_empty_variable_say_nothing():
    assert load({"workers": None, "include": ()}, {"SYNCER_WORKERS": ""}) == load({}, {})


def test_values_are_parsed():
    found = load(
        {"since": "2026-11-01", "read_timeout": "2m", "bwlimit": "08:00,2M 23:00,off", "include": ("*.mp4", "*.mov")},
        {"SYNCER_EXCLUDE": "draft*, test*", "SYNCER_REGENERATE": "yes", "VIDEO_DB_BASE_URL": "https://x.example/"},
    )
    assert found.since == datetime(2026, 11, 1, tzinfo=UTC)
    assert (found.read_timeout, found.regenerate, found.base_url) == (120.0, True, "https://x.example")
    assert (found.include, found.exclude) == (("*.mp4", "*.mov"), ("draft*", "test*"))
    assert len(found.bwlimit.steps) == 2


@pytest.mark.parametrize(
    ("flags", "environ", "place"),
    [
        ({"workers": "many"}, {}, "--workers"),
        ({"workers": "0"}, {}, "--workers"),
        ({}, {"SYNCER_WORKERS": "1.5"}, "SYNCER_WORKERS"),
        ({"read_timeout": "-1"}, {}, "--read-timeout"),
        ({"base_url": "ftp://x"}, {}, "--base-url"),
        ({"base_url": "http://[broken"}, {}, "--base-url"),
        ({"since": "yesterday"}, {}, "--since"),
        ({"bwlimit": "fast"}, {}, "--bwlimit"),
        ({"name_template": "{nope}"}, {}, "--name-template"),
        ({"dest": "s3://bucket"}, {}, "--dest"),
        ({}, {"SYNCER_REGENERATE": "perhaps"}, "SYNCER_REGENERATE"),
    ],
)
def test_what_cannot_be_used_names_its_place(flags, environ, place):
    with pytest.raises(UsageError) as caught:
        load(flags, environ)
    assert place in str(caught.value)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("workers = ", "not valid TOML"),
        ("wokers = 3", "Did you mean `workers`"),
        ('api_key = "sk-secret"', "may not stand in"),
        ("workers = true", "`workers` in"),
        ("profiles = 3", "must hold tables"),
        ("[profiles.p]\nworkerz = 1", "profiles.p"),
    ],
)
def test_a_bad_file_says_what_is_wrong(config, text, says):
    with pytest.raises(UsageError) as caught:
        load({"config": config(text)}, {})
    assert says in str(caught.value)
    assert "sk-secret" not in str(caught.value)


def test_an_unknown_profile_names_the_known_ones(config):
    with pytest.raises(UsageError) as caught:
        load({"config": config("[profiles.home]\n"), "profile": "work"}, {})
    assert "'work'" in str(caught.value)
    assert "home" in str(caught.value)


def test_a_missing_file_is_an_error_only_when_named(tmp_path):
    assert load({}, {}).profile is None
    with pytest.raises(UsageError):
        load({"config": str(tmp_path / "none.toml")}, {})


def test_each_profile_has_a_ledger_of_its_own(config):
    path = config("[profiles.a]\n[profiles.b]\n")
    places = {load({"config": path, "profile": p}, {}).ledger_location for p in ("a", "b", None)}
    assert len(places) == 3


def test_a_profile_cannot_lead_the_ledger_astray(config):
    with pytest.raises(UsageError):
        load({"config": config('[profiles."../x"]\n'), "profile": "../x"}, {})


class TestKey:
    def test_from_either_variable(self):
        assert resolve_key(load({}, {"VIDEODB_API_KEY": "sk-b"})) == "sk-b"
        assert resolve_key(load({}, {"VIDEO_DB_API_KEY": "sk-a\n", "VIDEODB_API_KEY": "sk-b"})) == "sk-a"

    def test_from_a_file_and_from_a_command(self, tmp_path):
        path = tmp_path / "key"
        path.write_text("sk-file\nsecond line\n")
        assert resolve_key(load({"api_key_file": str(path)}, {"VIDEO_DB_API_KEY": "sk-env"})) == "sk-file"
        command = f"{sys.executable} -c 'print(\"sk-command\")'"
        assert resolve_key(load({"api_key_command": command}, {})) == "sk-command"

    def test_the_environment_wins_over_the_file(self, config, tmp_path):
        (tmp_path / "key").write_text("sk-file")
        path = config(f'api_key_file = "{tmp_path / "key"}"')
        assert resolve_key(load({"config": path}, {})) == "sk-file"
        assert resolve_key(load({"config": path}, {"VIDEO_DB_API_KEY": "sk-env"})) == "sk-env"

    @pytest.mark.parametrize(
        "flags",
        [
            {},
            {"api_key_file": "/nonexistent/key"},
            {"api_key_command": "/nonexistent/program"},
            {"api_key_command": f"{sys.executable} -c 'raise SystemExit(3)'"},
            {"api_key_command": f"{sys.executable} -c 'print()'"},
            {"api_key_command": f"{sys.executable} -c 'print(\"sk a b\")'"},
            {"api_key_command": "'unbalanced"},
        ],
    )
    def test_no_usable_key_is_a_usage_error(self, flags):
        with pytest.raises(UsageError):
            resolve_key(load(flags, {}))

    def test_two_ways_at_once_are_refused(self):
        with pytest.raises(UsageError):
            load({"api_key_file": "a", "api_key_command": "b"}, {})

    def test_the_key_hides_itself(self):
        assert "sk-a" not in repr(load({}, {"VIDEO_DB_API_KEY": "sk-a"}))


def homeless(_):
    raise RuntimeError("could not determine the home directory")


@pytest.mark.parametrize("told", [homeless, lambda name: Path("~") / name])
def test_where_there_is_no_home_directory_no_folder_is_made_up(told):
    """As in a container, under a number that is nobody's; the library says so, or leaves a relative path."""
    assert config_module._of_user(told) is None


def test_a_home_directory_is_used():
    assert config_module._of_user(Path("/home/me").joinpath) == Path("/home/me/syncer")
    assert load({}, {}).ledger_location.endswith("/syncer/default.db")
