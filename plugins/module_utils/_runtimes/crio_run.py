# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run a program of an image that CRI-O has, in namespaces of its own, as ``docker run --rm`` would.

CRI-O has no client of its own. A pod that crictl makes is one that the kubelet does not know, so it ends it after some
seconds; what runs inside of etcd's own pod needs an etcd that runs. So the layers of the image, which lie on the disk
as CRI-O verified them when it pulled them, are laid over each other in a mount namespace of this process. The program
has a root of its own, sees no other process, has the network of the machine and few rights, and dies with this process.
Nothing is left in whatever way that ends, since mounts go with their namespace, and CRI-O is not told anything.

This file needs nothing but Python's standard library and imports nothing of this collection: the role container_runtime
puts it on machines as a program, which the timer of backups starts as well as modules do.

Sources: CRI-O's server/inspect.go of 1.36.3; images.go and drivers/overlay/overlay.go of containers/storage 1.61;
mount_namespaces(7), pivot_root(2), capabilities(7). Private to this collection.
"""

from __future__ import annotations

import argparse
import ctypes
import http.client
import json
import os
import signal
import socket
import sys
import typing as t

#: Where a machine has this program.
PLACE = "/usr/local/lib/slipway/crio-run.py"
_DRIVER = "overlay"
#: A folder that every machine has and that nothing here needs: what is made lies over it, in our namespace alone.
_GROUND = "/sys"
_OLD = "/.slipway-host"
#: Files that a program with the machine's network looks into.
_NAMES = ("/etc/hosts", "/etc/resolv.conf")
_ENVIRONMENT = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/"}
#: CAP_CHOWN, CAP_DAC_OVERRIDE and CAP_FOWNER: etcd's data may be of another user.
_KEPT_RIGHTS = (0, 1, 3)
# Numbers of the kernel: unshare(2), mount(2), umount2(2), prctl(2).
_NEW_NAMESPACES = 0x00020000 | 0x04000000 | 0x08000000 | 0x20000000  # mounts, names, IPC, processes
_READ_ONLY, _REMOUNT, _BIND, _RECURSIVE, _PRIVATE = 1, 32, 4096, 16384, 1 << 18
_DETACH = 2
_DIES_WITH_PARENT, _DROP_RIGHT, _NO_NEW_RIGHTS = 1, 24, 38


class RunError(Exception):
    """A failure that the user can do something about."""


class NoImage(RunError):
    """CRI-O does not have the image."""


class _Connection(http.client.HTTPConnection):
    """A connection to the socket at which CRI-O answers the kubelet, and about itself."""

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.host)


def storage(path: str) -> str:
    """The folder of CRI-O's images.

    :param path: of its socket.
    :raises RunError: when it does not answer, or lays no overlays.
    """
    connection = _Connection(path, timeout=30)
    try:
        # The name of a machine would be that of a file.
        connection.request("GET", "/info", headers={"Host": "localhost"})
        said = json.loads(connection.getresponse().read())
        driver, root = str(said["storage_driver"]), str(said["storage_root"])
    except (OSError, http.client.HTTPException, ValueError, TypeError, KeyError) as error:
        raise RunError(
            f"CRI-O does not say at {path} where its images are: {error or type(error).__name__}."
        ) from error
    finally:
        connection.close()
    if driver != _DRIVER:
        raise RunError(f"CRI-O has the storage driver {driver}, and programs of images are run by {_DRIVER} alone.")
    return root


def layers(root: str, image: str) -> t.List[str]:
    """The layers of an image, the upper ones first, below the folder of the driver.

    :raises NoImage: when CRI-O does not have it.
    :raises RunError: when what is there is nothing that is known.
    """
    driver = os.path.join(root, _DRIVER)
    try:
        with open(os.path.join(root, f"{_DRIVER}-images", "images.json"), encoding="utf-8") as stream:
            known = json.load(stream)
        top = next((str(entry["layer"]) for entry in known if image in (entry.get("names") or [])), "")
        if not top:
            raise NoImage(f"CRI-O does not have the image {image}.")
        folder = os.path.join(driver, top)
        with open(os.path.join(folder, "link"), encoding="utf-8") as stream:
            found = [f"l/{stream.read().strip()}"]
        # The lowest layer has none below.
        if os.path.exists(os.path.join(folder, "lower")):
            with open(os.path.join(folder, "lower"), encoding="utf-8") as stream:
                found += stream.read().strip().split(":")
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise RunError(f"What CRI-O has in {root} of the image {image} cannot be read: {error}.") from error
    gone = [layer for layer in found if not os.path.isdir(os.path.join(driver, layer))]
    if gone:
        raise RunError(f"The layer {gone[0]} of the image {image} is not in {driver}: it lies in another storage.")
    return found


class Kernel:
    """Calls of the kernel for which Python's standard library has no words."""

    def __init__(self) -> None:
        self._library = ctypes.CDLL(None, use_errno=True)

    def __call__(self, name: str, *words: t.Union[str, int, None]) -> None:
        """Make the call ``name``.

        :raises OSError: when the kernel refuses.
        """
        given = [word.encode() if isinstance(word, str) else ctypes.c_ulong(word or 0) for word in words]
        if getattr(self._library, name)(*given) != 0:
            number = ctypes.get_errno()
            raise OSError(number, f"{name}: {os.strerror(number)}", next((w for w in words if isinstance(w, str)), ""))


def enter(kernel: t.Callable[..., None], driver: str, below: t.Sequence[str], folders: t.Mapping[str, bool]) -> None:
    """Leave the machine's files: the layers are the root from now on, with the folders in it.

    What the image has as links leads nowhere else, since the machine's files are out of reach before anything of it is
    followed but for :data:`_OLD`.

    :param folders: what it sees under its own name, and whether it may write there.
    """
    seen = {path: (os.path.realpath(path), writable) for path, writable in folders.items()}
    texts = {}
    for path in filter(os.path.exists, _NAMES):
        with open(path, "rb") as stream:
            texts[path] = stream.read()
    kernel("unshare", _NEW_NAMESPACES)
    kernel("mount", "none", "/", None, _RECURSIVE | _PRIVATE, None)
    kernel("mount", "tmpfs", _GROUND, "tmpfs", 0, "mode=0700,size=16m")
    upper, work, root = (f"{_GROUND}/{name}" for name in ("upper", "work", "root"))
    for folder in (upper, work, root):
        os.mkdir(folder)
    # By the short names of layers: all that is said may have no more than one page.
    os.chdir(driver)
    kernel("mount", "overlay", root, "overlay", 0, f"lowerdir={':'.join(below)},upperdir={upper},workdir={work}")
    os.chdir(root)
    os.makedirs(f"{root}{_OLD}")
    kernel("pivot_root", ".", f".{_OLD}")
    os.chdir("/")
    for path, (real, writable) in seen.items():
        os.makedirs(path, exist_ok=True)
        kernel("mount", f"{_OLD}{real}", path, None, _BIND | _RECURSIVE, None)
        if not writable:
            kernel("mount", None, path, None, _REMOUNT | _BIND | _READ_ONLY, None)
    for path, text in texts.items():
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as stream:
            stream.write(text)
    kernel("umount2", _OLD, _DETACH)
    os.rmdir(_OLD)


def become(kernel: t.Callable[..., None], words: t.Sequence[str]) -> None:
    """Become the program, with few rights; returns only when that fails."""
    kernel("prctl", _DIES_WITH_PARENT, int(signal.SIGKILL), 0, 0, 0)
    kernel("prctl", _NO_NEW_RIGHTS, 1, 0, 0, 0)
    right = 0
    try:
        while True:
            if right not in _KEPT_RIGHTS:
                kernel("prctl", _DROP_RIGHT, right, 0, 0, 0)
            right += 1
    except OSError:
        # The kernel knows no more, after those that each of them has.
        if right < 32:
            raise
    os.execvpe(words[0], list(words), _ENVIRONMENT)


def run(kernel: t.Callable[..., None], words: t.Sequence[str]) -> int:
    """Run the program as a process of its own, the first one of its namespace, and return how it ended."""
    process = os.fork()
    if process == 0:
        try:
            become(kernel, words)
        except OSError as error:
            sys.stderr.write(f"{words[0]} cannot be run: {error.strerror}.\n")
            sys.stderr.flush()
        finally:
            os._exit(127)
    status = os.waitpid(process, 0)[1]
    return os.WEXITSTATUS(status) if os.WIFEXITED(status) else 128 + os.WTERMSIG(status)


def main(argv: t.Sequence[str]) -> int:
    """Run what the command line says."""
    parser = argparse.ArgumentParser(description="Run a program of an image that CRI-O has.")
    parser.add_argument("--socket", required=True)
    parser.add_argument("--folder", action="append", default=[], help="ro: or rw:, and the path of a folder")
    parser.add_argument("image")
    parser.add_argument("words", nargs=argparse.REMAINDER)
    given = parser.parse_args(argv[1:])
    folders = {path: access == "rw" for access, _colon, path in (text.partition(":") for text in given.folder)}
    kernel = Kernel()
    try:
        root = storage(given.socket)
        enter(kernel, os.path.join(root, _DRIVER), layers(root, given.image), folders)
        return run(kernel, given.words)
    except RunError as error:
        sys.stderr.write(f"{error}\n")
    except OSError as error:
        sys.stderr.write(f"{given.image} cannot be run: {error}.\n")
    return 125


if __name__ == "__main__":
    raise SystemExit(main(sys.argv))
