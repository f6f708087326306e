"""`syncer init` and `syncer config show`, as a user meets them."""

import json
import os
import pty
import re
import subprocess
import sys
import tomllib

import pytest
from helpers.site import jobs

from syncer import config
from syncer.options import OPTIONS


def test_what_init_writes_is_what_a_pass_uses(site):
    here = site(jobs(2, size=1000))
    key = here.folder / "key"
    key.write_text(here.sandbox.api_key)
    environ = here.environ()
    del environ["VIDEO_DB_API_KEY"], environ["SYNCER_LEDGER"]
    written = here.command("init", "--dest", "videos", "--api-key-file", "key", environ=environ)
    assert (written.returncode, written.stdout) == (0, "")
    path = here.folder / "config/syncer/config.toml"
    assert str(path) in written.stderr
    assert path.stat().st_mode & 0o777 == 0o600
    assert tomllib.loads(path.read_text()) == {"dest": str(here.dest), "api_key_file": str(key)}
    assert here.command("run", environ=environ).returncode == 0
    assert len(here.files()) == 2


def test_every_line_init_leaves_commented_out_can_be_used(site, tmp_path):
    here = site([])
    path = tmp_path / "c.toml"
    assert here.command("init", "--config", path, "--dest", "/x/y").returncode == 0
    text = path.read_text()
    for option in OPTIONS:
        assert f"# {option.meaning}\n" in text
        assert re.search(rf"^#?{option.key} = ", text, re.MULTILINE)
    opened = re.sub(r'^#(\w+ = (?!""|\[\]).*)$', r"\1", text, flags=re.MULTILINE)
    path.write_text(opened)
    assert config.load({"config": str(path)}, {}) == config.load({"dest": "/x/y"}, {})


def test_a_profile_is_added_to_a_file_that_is_there_and_nothing_is_overwritten(site, tmp_path):
    here = site([])
    path = tmp_path / "c.toml"
    path.write_text("# mine\nworkers = 2\n")
    assert here.command("init", "--config", path, "--dest", "/a").returncode == 2
    added = here.command("init", "--config", path, "--profile", 'nas "1"', "--dest", "/mnt/a\\b")
    assert added.returncode == 0, added.stderr
    assert path.read_text().startswith("# mine\nworkers = 2\n")
    found = config.load({"config": str(path), "profile": 'nas "1"'}, {})
    assert (found.workers, found.dest) == (2, "/mnt/a\\b")
    twice = here.command("init", "--config", path, "--profile", 'nas "1"', "--dest", "/b")
    assert twice.returncode == 2
    assert "already" in twice.stderr
    assert here.command("init", "--config", path, "--dest", "/c", "--force").returncode == 0
    assert tomllib.loads(path.read_text()) == {"dest": "/c"}


def test_init_without_a_terminal_and_without_a_destination_says_what_it_needs(site):
    done = site([]).command("init")
    assert done.returncode == 2
    assert "--dest" in done.stderr


def test_init_asks_on_a_terminal(site):
    here = site([])
    ours, theirs = pty.openpty()
    asked = subprocess.Popen(
        [sys.executable, "-m", "syncer", "init"],
        env=here.environ(), cwd=here.folder, stdin=theirs, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    os.write(ours, b"films\ncommand\npass show videodb\n")
    _, told = asked.communicate(timeout=60)
    os.close(ours)
    os.close(theirs)
    assert asked.returncode == 0, told
    text = (here.folder / "config/syncer/config.toml").read_text()
    assert tomllib.loads(text) == {"dest": str(here.folder / "films"), "api_key_command": "pass show videodb"}


@pytest.mark.parametrize(
    "bad", [["--dest", "s3://bucket"], ["--dest", "/a", "--api-key-file", "k", "--api-key-command", "c"]]
)
def test_init_refuses_what_a_pass_could_not_use(site, bad):
    here = site([])
    assert here.command("init", *bad).returncode == 2
    assert not (here.folder / "config/syncer/config.toml").exists()


def test_show_tells_each_value_and_who_said_it_and_no_secret(site):
    here = site([])
    path = here.folder / "c.toml"
    path.write_text('workers = 3\nping_url = "https://hc.example/s3cret"\n[profiles.p]\ntries = 2\ndest = "/x"\n')
    more = {"SYNCER_CONFIG": str(path), "SYNCER_PROFILE": "p", "SYNCER_BWLIMIT": "08:00,2M 23:00,off"}
    environ = here.environ(**more, SYNCER_PROXY="http://me:s3cret@proxy.example:1")
    done = here.command("config", "show", "--json", environ=environ)
    shown = json.loads(done.stdout)
    values = {row["key"]: (row["value"], row["source"]) for row in shown["values"]}
    assert (shown["file"], shown["profile"]) == (str(path), "p")
    assert values["workers"] == ("3", f"`workers` in {path}")
    assert values["tries"] == ("2", f"`tries` in [profiles.p] of {path}")
    assert values["bwlimit"] == ("08:00,2M 23:00,off", "SYNCER_BWLIMIT")
    assert values["connect_timeout"] == ("15", "default")
    assert values["api_key"] == ("set, not shown", "VIDEO_DB_API_KEY")
    assert values["ping_url"][0] == values["proxy"][0] == "set, not shown"
    human = here.command("config", "show", environ=environ)
    assert f"`tries` in [profiles.p] of {path}" in human.stdout
    for text in (done.stdout, human.stdout, human.stderr):
        assert "s3cret" not in text
        assert here.sandbox.api_key not in text


def test_the_key_can_come_from_a_keyring(site):
    here = site(jobs(1, size=1000))
    plugin = here.folder / "plugin"
    plugin.mkdir()
    held = {"syncer/studio": here.sandbox.api_key}
    (plugin / "testring.py").write_text(
        "from keyring.backend import KeyringBackend\n"
        "class Ring(KeyringBackend):\n"
        "    priority = 1\n"
        f"    def get_password(self, service, user): return {held!r}.get(f'{{service}}/{{user}}')\n"
        "    def set_password(self, *a): pass\n"
        "    def delete_password(self, *a): pass\n"
    )
    environ = here.environ(PYTHON_KEYRING_BACKEND="testring.Ring", PYTHONPATH=str(plugin))
    assert here.command("run", here.dest, "--api-key-keyring", "syncer/studio", environ=environ).returncode == 0
    none = here.command("run", here.dest, "--api-key-keyring", "syncer/other", environ=environ)
    assert none.returncode == 2
    assert "`keyring set syncer other`" in none.stderr
