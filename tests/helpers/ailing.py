"""A file system in memory that fails on demand, in a process of its own.

Speaks Linux's FUSE protocol itself (include/uapi/linux/fuse.h, version 7.31), so it needs root and /dev/fuse and no
library. Orders come as JSON lines on standard input, answers go to standard output; when the input ends it unmounts.
The test's side is helpers/mounted.py.
"""

import ctypes
import errno
import json
import os
import pickle
import select
import signal
import stat
import struct
import sys
import time

IN_HEADER = struct.Struct("<IIQQIIIHH")
OUT_HEADER = struct.Struct("<IiQ")
ATTR = struct.Struct("<6Q10I")
ENTRY = struct.Struct("<4Q2I")
INIT_OUT = struct.Struct("<4I2H2I2H2I6I")
STATFS = struct.Struct("<5Q4I6I")
OPS = {
    1: "lookup", 2: "forget", 3: "getattr", 4: "setattr", 5: "readlink", 6: "symlink", 9: "mkdir", 10: "unlink",
    11: "rmdir", 12: "rename", 13: "link", 14: "open", 15: "read", 16: "write", 17: "statfs", 18: "release",
    20: "fsync", 25: "flush", 26: "init", 27: "opendir", 28: "readdir", 29: "releasedir", 30: "fsyncdir",
    35: "create", 36: "interrupt", 38: "destroy", 42: "batch_forget", 45: "rename2",
}  # fmt: skip
SILENT = {"forget", "batch_forget", "interrupt"}
STEPS = {"write", "create", "mkdir", "unlink", "rmdir", "rename", "link", "fsync", "fsyncdir", "truncate", "chmod",
         "utime"}  # fmt: skip
"""What changes something, or promises that it will last: the moments at which a kill or a power cut is tried."""

MOUNT_FLAGS = 2 | 4  # nosuid, nodev
DETACH = 2
BLOCK = 4096
MAX_WRITE = 1 << 20


class Fault(OSError):
    """An answer that is an error."""


def due(rule):
    """Whether a rule's turn has come; it counts down."""
    if rule["skip"]:
        rule["skip"] -= 1
        return False
    if rule["count"]:
        rule["count"] -= 1
        return True
    return rule["count"] is None


class Node:
    """An inode."""

    def __init__(self, ino, mode, path):
        now = time.time_ns()
        self.ino, self.mode, self.path = ino, mode, path
        self.nlink, self.uid, self.gid = 1, 0, 0
        self.atime = self.mtime = now
        self.data = bytearray()
        self.entries = {}

    @property
    def is_folder(self):
        return stat.S_ISDIR(self.mode)

    def attr(self):
        size = len(self.data)
        times = [t // 10**9 for t in (self.atime, self.mtime, self.mtime)]
        parts = [t % 10**9 for t in (self.atime, self.mtime, self.mtime)]
        return ATTR.pack(
            self.ino, size, -(-size // 512), *times, *parts, self.mode, self.nlink, self.uid, self.gid, 0, BLOCK, 0
        )


class FileSystem:
    """The tree, the faults that were ordered, and the record of what happened."""

    def __init__(self, *, folds):
        self.nodes = {1: Node(1, stat.S_IFDIR | 0o777, "")}
        self.next = 2
        self.folds = folds  # names are one when they differ only in case
        self.rules = []
        self.numbers = {"blocks": 1 << 26, "bfree": 1 << 25, "bavail": 1 << 25}
        self.record = None
        self.steps = [""]
        self.bursts = False  # writes to the ledger in a row count as one step
        self.kill_at = self.kill_on = None
        self.frozen = False

    # --- orders ---

    def order(self, said):
        kind = said.pop("do")
        if kind == "rule":
            self.rules.append({"skip": 0, "count": None, "name": "", "error": None, "delay": 0, **said})
        elif kind == "clear":
            self.rules.clear()
            self.frozen, self.kill_at, self.kill_on = False, None, None
        elif kind == "numbers":
            self.numbers |= said
        elif kind == "watch":
            self.steps, self.bursts = [""], said["bursts"]
            self.kill_at, self.kill_on = said["kill_at"], said["kill_on"]
        elif kind == "record":
            self.record = []
            with open(said["path"], "wb") as file:  # noqa: PTH123
                folders = {n.ino: dict(n.entries) for n in self.nodes.values() if n.is_folder}
                files = {n.ino: bytes(n.data) for n in self.nodes.values() if not n.is_folder}
                pickle.dump((folders, files), file)
        elif kind == "recorded":
            with open(said["path"], "ab") as file:  # noqa: PTH123
                pickle.dump(self.record, file)
            self.record = None
        return {"steps": self.steps[1:], "frozen": self.frozen}

    def note(self, *what):
        if self.record is not None:
            self.record.append(what)

    def check(self, op, path, pid, *, cached=False):
        """Let a fault that was ordered for this step have its way."""
        if op in STEPS and not cached and not path.endswith("-shm"):  # SQLite's shared memory is made anew
            if self.frozen:
                raise Fault(errno.EIO, "frozen")
            step = f"{op} {path}"
            if not self.bursts or step != self.steps[-1] or not path.endswith(("-wal", ".db")):
                self.steps.append(step)
            if len(self.steps) - 1 == self.kill_at or (
                self.kill_on and (op, path.endswith(self.kill_on[1])) == (self.kill_on[0], True)
            ):
                self.frozen = True
                os.kill(pid, signal.SIGKILL)
                raise Fault(errno.EIO, "killed")
        for rule in self.rules:
            if rule["op"] == op and rule["name"] in path and due(rule):
                time.sleep(rule["delay"])
                if rule["error"]:
                    raise Fault(getattr(errno, rule["error"]), op)

    # --- the tree ---

    def name(self, raw):
        text = os.fsdecode(raw)
        if len(raw) > 255:
            raise Fault(errno.ENAMETOOLONG, text)
        return text

    def find(self, folder, name):
        if name in folder.entries:
            return name
        if self.folds:
            return next((n for n in folder.entries if n.casefold() == name.casefold()), None)
        return None

    def child(self, folder, name):
        found = self.find(folder, name)
        if found is None:
            raise Fault(errno.ENOENT, name)
        return self.nodes[folder.entries[found]]

    def add(self, folder, name, node):
        folder.entries[name] = node.ino
        node.path = f"{folder.path}/{name}"
        folder.mtime = time.time_ns()

    def make(self, folder, name, mode, op):
        if self.find(folder, name) is not None:
            raise Fault(errno.EEXIST, name)
        node = Node(self.next, mode, "")
        self.next += 1
        self.nodes[node.ino] = node
        self.add(folder, name, node)
        self.note(op, folder.ino, name, node.ino)
        return node

    def drop(self, folder, name):
        node = self.nodes[folder.entries.pop(name)]
        node.nlink -= 1
        folder.mtime = time.time_ns()
        return node

    # --- the protocol ---

    def handle(self, op, node, pid, body):
        known = getattr(self, f"do_{op}", None)
        if known is None:
            raise Fault(errno.ENOSYS, str(op))
        return known(node, pid, body)

    def entry(self, node):
        return ENTRY.pack(node.ino, 0, 0, 0, 0, 0) + node.attr()

    def do_init(self, _node, _pid, body):
        _, minor, readahead, flags = struct.unpack_from("<4I", body)
        wanted = flags & (1 << 0 | 1 << 3 | 1 << 5 | 1 << 12 | 1 << 22)
        return INIT_OUT.pack(7, min(minor, 31), readahead, wanted, 12, 9, MAX_WRITE, 1, 256, 0, 0, 0, *[0] * 6)

    def do_lookup(self, node, pid, body):
        name = self.name(body[:-1])
        self.check("lookup", f"{node.path}/{name}", pid)
        return self.entry(self.child(node, name))

    def do_getattr(self, node, _pid, _body):
        return struct.pack("<QII", 0, 0, 0) + node.attr()

    def do_setattr(self, node, pid, body):
        valid, _, _, size, _, atime, mtime, _, ansec, mnsec, _, mode, _, uid, gid, _ = struct.unpack_from(
            "<IIQQQQQQIIIIIIII", body
        )
        if valid & 8:
            self.check("truncate", node.path, pid)
            node.data[size:] = bytes(max(0, size - len(node.data)))
            self.note("truncate", node.ino, size)
        if valid & 1:
            self.check("chmod", node.path, pid)
            node.mode = stat.S_IFMT(node.mode) | stat.S_IMODE(mode)
        if valid & 6:
            node.uid, node.gid = uid if valid & 2 else node.uid, gid if valid & 4 else node.gid
        if valid & (16 | 32):
            if not valid & 8:
                self.check("utime", node.path, pid)
            now = time.time_ns()
            node.atime = (now if valid & 128 else atime * 10**9 + ansec) if valid & 16 else node.atime
            node.mtime = (now if valid & 256 else mtime * 10**9 + mnsec) if valid & 32 else node.mtime
        return self.do_getattr(node, pid, body)

    def do_mkdir(self, node, pid, body):
        mode, umask = struct.unpack_from("<II", body)
        name = self.name(body[8:-1])
        self.check("mkdir", f"{node.path}/{name}", pid)
        return self.entry(self.make(node, name, stat.S_IFDIR | (mode & ~umask & 0o7777), "mkdir"))

    def do_create(self, node, pid, body):
        _, mode, umask, _ = struct.unpack_from("<4I", body)
        name = self.name(body[16:-1])
        self.check("create", f"{node.path}/{name}", pid)
        made = self.make(node, name, stat.S_IFREG | (mode & ~umask & 0o7777), "create")
        return self.entry(made) + struct.pack("<QII", made.ino, 0, 0)

    def do_unlink(self, node, pid, body):
        name = self.name(body[:-1])
        self.check("unlink", f"{node.path}/{name}", pid)
        found = self.find(node, name)
        self.child(node, name)
        self.drop(node, found)
        self.note("unlink", node.ino, found)
        return b""

    def do_rmdir(self, node, pid, body):
        if self.child(node, self.name(body[:-1])).entries:
            raise Fault(errno.ENOTEMPTY, "rmdir")
        return self.do_unlink(node, pid, body)

    def do_link(self, node, pid, body):
        (old,) = struct.unpack_from("<Q", body)
        name = self.name(body[8:-1])
        self.check("link", f"{node.path}/{name}", pid)
        if self.find(node, name) is not None:
            raise Fault(errno.EEXIST, name)
        linked = self.nodes[old]
        linked.nlink += 1
        self.add(node, name, linked)
        self.note("link", node.ino, name, old)
        return self.entry(linked)

    def do_rename(self, node, pid, body, head=8, flags=0):
        (target,) = struct.unpack_from("<Q", body)
        old, new = (self.name(part) for part in body[head:-1].split(b"\0"))
        into = self.nodes[target]
        self.check("rename", f"{into.path}/{new}", pid)
        moved = self.child(node, old)
        there = self.find(into, new)
        if there is not None and flags & 1:
            raise Fault(errno.EEXIST, new)
        if there is not None and into.entries[there] != moved.ino:
            self.drop(into, there)
        node.entries.pop(self.find(node, old))
        self.add(into, new, moved)
        self.note("rename", node.ino, old, into.ino, new)
        return b""

    def do_rename2(self, node, pid, body):
        return self.do_rename(node, pid, body, 16, struct.unpack_from("<QI", body)[1])

    def do_open(self, node, pid, body):
        (flags,) = struct.unpack_from("<I", body)
        self.check("open", node.path, pid)
        if flags & os.O_TRUNC:
            self.check("truncate", node.path, pid)
            node.data.clear()
            self.note("truncate", node.ino, 0)
        return struct.pack("<QII", node.ino, 0, 0)

    def do_opendir(self, node, _pid, _body):
        return struct.pack("<QII", node.ino, 0, 0)

    def do_read(self, node, pid, body):
        _, offset, size = struct.unpack_from("<QQI", body)
        self.check("read", node.path, pid)
        return bytes(node.data[offset : offset + size])

    def do_write(self, node, pid, body):
        _, offset, size, flags = struct.unpack_from("<QQII", body)
        data = body[40 : 40 + size]
        cached = bool(flags & 1)
        self.check("write", node.path, pid, cached=cached)
        if offset > len(node.data):
            node.data += bytes(offset - len(node.data))
        node.data[offset : offset + size] = data
        node.mtime = time.time_ns()
        self.note("write", node.ino, offset, data)
        return struct.pack("<II", size, 0)

    def do_fsync(self, node, pid, _body):
        self.check("fsync", node.path, pid)
        self.note("fsync", node.ino)
        return b""

    def do_fsyncdir(self, node, pid, _body):
        self.check("fsyncdir", node.path, pid)
        self.note("fsyncdir", node.ino)
        return b""

    def do_flush(self, node, pid, _body):
        self.check("flush", node.path, pid)
        return b""

    def do_readdir(self, node, _pid, body):
        _, offset, size = struct.unpack_from("<QQI", body)
        out = b""
        for at, (name, ino) in enumerate(list(node.entries.items())[offset:], start=offset + 1):
            raw = os.fsencode(name)
            kind = stat.S_IFMT(self.nodes[ino].mode) >> 12
            dirent = struct.pack("<QQII", ino, at, len(raw), kind) + raw
            dirent += bytes(-len(dirent) % 8)
            if len(out) + len(dirent) > size:
                break
            out += dirent
        return out

    def do_statfs(self, _node, pid, _body):
        self.check("statfs", "", pid)
        told = self.numbers
        return STATFS.pack(told["blocks"], told["bfree"], told["bavail"], 1000, 1000, BLOCK, 255, BLOCK, *[0] * 7)

    def do_release(self, _node, _pid, _body):
        return b""

    do_releasedir = do_destroy = do_release


def serve(fs, fuse):
    """Answer until unmounted, or until nobody gives orders any more."""
    poll = select.poll()
    poll.register(fuse, select.POLLIN)
    poll.register(0, select.POLLIN)
    orders = b""
    while True:
        for fd, _ in poll.poll():
            if fd == 0:
                said = os.read(0, 65536)
                if not said:
                    return
                orders += said
                while b"\n" in orders:
                    line, _, orders = orders.partition(b"\n")
                    os.write(1, json.dumps(fs.order(json.loads(line))).encode() + b"\n")
                continue
            try:
                request = os.read(fuse, MAX_WRITE + 65536)
            except OSError as error:
                if error.errno in (errno.ENOENT, errno.EINTR, errno.EAGAIN):
                    continue
                return  # unmounted
            answer(fs, fuse, request)


def answer(fs, fuse, request):
    _, code, unique, ino, _, _, pid, _, _ = IN_HEADER.unpack_from(request)
    op = OPS.get(code)
    if op in SILENT:
        return
    try:
        number, body = 0, fs.handle(op, fs.nodes.get(ino), pid, request[IN_HEADER.size :])
    except Fault as fault:
        number, body = -fault.errno, b""
    try:
        os.write(fuse, OUT_HEADER.pack(OUT_HEADER.size + len(body), number, unique) + body)
    except OSError as error:
        if error.errno != errno.ENOENT:  # whoever asked is gone
            raise


def main(point, kind, *options):
    fuse = os.open("/dev/fuse", os.O_RDWR | os.O_CLOEXEC)
    libc = ctypes.CDLL(None, use_errno=True)
    data = f"fd={fuse},rootmode=40777,user_id=0,group_id=0,allow_other,default_permissions"
    if libc.mount(b"ailing", point.encode(), kind.encode(), MOUNT_FLAGS, data.encode()):
        raise OSError(ctypes.get_errno(), "mount")
    os.write(1, b'{"ready": true}\n')
    try:
        serve(FileSystem(folds="fold" in options), fuse)
    finally:
        libc.umount2(point.encode(), DETACH)


if __name__ == "__main__":
    main(*sys.argv[1:])
