"""What a disk may hold after a power cut: everything that was fsynced, and of the rest whatever pleases.

Reads the record of helpers/ailing.py. The rules are those of POSIX, not of a kind file system: fsync of a file keeps
its bytes and not its name, fsync of a folder keeps the names in it and not their files' bytes (see Pillai et al., "All
File Systems Are Not Created Equal", OSDI 2014).
"""

import hashlib
import os
import random

POLICIES = ("nothing", "everything", "names", "zeros", "bytes", "torn")
"""What survives of what was not fsynced: nothing; all of it; names alone; names, and lengths filled with zeros; bytes
under names that were durable before; or for each file and folder any of these."""


class Disk:
    """The states a disk goes through, step by step."""

    def __init__(self, folders, files):
        self.names = {ino: dict(names) for ino, names in folders.items()}
        self.kept_names = {ino: dict(names) for ino, names in folders.items()}
        self.bytes = {ino: bytearray(data) for ino, data in files.items()}
        self.kept_bytes = dict(files)

    def step(self, op, *what):
        """One entry of the record."""
        getattr(self, f"_{op}")(*what)

    def _create(self, folder, name, ino):
        self.names[folder][name] = ino
        self.bytes[ino], self.kept_bytes[ino] = bytearray(), b""

    def _mkdir(self, folder, name, ino):
        self.names[folder][name] = ino
        self.names[ino], self.kept_names[ino] = {}, {}

    def _link(self, folder, name, ino):
        self.names[folder][name] = ino

    def _unlink(self, folder, name):
        del self.names[folder][name]

    def _rename(self, folder, name, into, new):
        self.names[into][new] = self.names[folder].pop(name)

    def _write(self, ino, offset, data):
        held = self.bytes[ino]
        held += bytes(max(0, offset - len(held)))
        held[offset : offset + len(data)] = data

    def _truncate(self, ino, size):
        held = self.bytes[ino]
        held[size:] = bytes(max(0, size - len(held)))

    def _fsync(self, ino):
        self.kept_bytes[ino] = bytes(self.bytes[ino])

    def _fsyncdir(self, ino):
        self.kept_names[ino] = dict(self.names[ino])

    def after_cut(self, policy, rng):
        """The tree after a power cut here: path to ino, and the bytes of each ino; folders have none."""
        tree, contents = {}, {}

        def walk(ino, path):
            way = rng.choice(POLICIES[:2]) if policy == "torn" else policy
            names = self.kept_names if way in ("nothing", "bytes") else self.names
            for name, child in sorted(names[ino].items()):
                tree[f"{path}{name}"] = child
                if child in self.names:
                    walk(child, f"{path}{name}/")
                else:
                    contents[child] = self._content(child, policy, rng)

        walk(1, "")
        return tree, contents

    def _content(self, ino, policy, rng):
        way = rng.choice(("nothing", "everything", "zeros")) if policy == "torn" else policy
        kept, now = self.kept_bytes[ino], self.bytes[ino]
        if way in ("everything", "bytes"):
            return bytes(now)
        if way == "zeros":
            return kept + bytes(max(0, len(now) - len(kept)))
        return kept


def cuts(folders, files, record, policies=POLICIES, seed=1):
    """Every state a power cut could leave, each once: (what was done last, policy, tree, contents)."""
    disk, seen = Disk(folders, files), set()
    for number, entry in enumerate([None, *record]):
        if entry is not None:
            disk.step(*entry)
        for policy in policies:
            tree, contents = disk.after_cut(policy, random.Random(f"{seed} {number} {policy}"))
            digests = {ino: hashlib.sha256(data).digest() for ino, data in contents.items()}
            state = frozenset((path, digests.get(ino), ino) for path, ino in tree.items())
            if state not in seen:
                seen.add(state)
                yield f"{number} {entry[:1] if entry else 'start'} {policy}", tree, contents


def lay_out(root, tree, contents):
    """Put such a state into a real folder, hard links included."""
    made = {}
    for path, ino in tree.items():
        place = root / path
        if ino not in contents:
            place.mkdir(parents=True, exist_ok=True)
        elif ino in made:
            os.link(made[ino], place)
        else:
            place.write_bytes(contents[ino])
            made[ino] = place
