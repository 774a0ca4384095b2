# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Keys of package repositories: what we write as keyring has the fingerprints that we accepted, says gpg."""

from __future__ import annotations

import random
import subprocess
import typing as t
from pathlib import Path

import mutations
import pytest
from ansible_collections.slipway.kubernetes.plugins.module_utils._pki import openpgp

from lab import debian

FIXTURES = Path(__file__).parents[2] / "unit" / "plugins" / "fixtures" / "apt"
LABEL = "PGP PUBLIC KEY BLOCK"


@pytest.fixture(scope="session")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of gpg's own."""
    debian.install({"gpg": "gpg"})
    folder = tmp_path_factory.mktemp("gnupg")
    folder.chmod(0o700)
    return folder


def read_by_gpg(home: Path, data: bytes) -> list[str]:
    """The fingerprints of keys and subkeys that gpg reads."""
    argv = ["gpg", "--homedir", str(home), "--batch", "--with-colons", "--show-keys"]
    done = subprocess.run(argv, input=data, capture_output=True, check=False)
    lines = [line.split(b":") for line in done.stdout.splitlines()]
    return [line[9].decode() for line in lines if line[0] == b"fpr"]


def accepted(data: bytes) -> tuple[list[str], bytes]:
    """The fingerprints that we accept and the keyring that is written; both empty when it is refused."""
    try:
        keys = openpgp.public_keys(data)
        return [name for key in keys for name in (key.fingerprint, *key.subkeys)], openpgp.keyring(data)
    except openpgp.OpenPgpError:
        return [], b""


def packets_mutated(chance: random.Random, data: bytes, others: t.Sequence[bytes]) -> bytes:
    """``data`` with packets left out, doubled, taken from others, with other types, other lengths and other octets."""
    parts = [[kind, body] for kind, body in openpgp.packets(data)]
    foreign = [[kind, body] for other in others for kind, body in openpgp.packets(other)]
    for _round in range(chance.choice([1, 1, 2, 3])):
        place = chance.randrange(len(parts))
        kind = chance.randrange(6)
        if kind == 0 and len(parts) > 1:
            del parts[place]
        elif kind == 1:
            parts.insert(place, list(chance.choice(foreign)))
        elif kind == 2:
            parts.insert(place, list(parts[chance.randrange(len(parts))]))
        elif kind == 3:
            parts[place][0] = chance.choice([2, 5, 6, 7, 8, 10, 11, 12, 13, 14, 17, 20, 21, 60])
        elif kind == 4:
            body = t.cast(bytes, parts[place][1])
            spot = chance.randrange(len(body))
            parts[place][1] = body[:spot] + bytes([chance.randrange(256)]) + body[spot + chance.choice([0, 1]) :]
        else:
            parts[place][1] = t.cast(bytes, parts[place][1]) + chance.choice([b"\0", b"\x99\0\1\4", b"x" * 200])
    encoded = b"".join(openpgp._packet(t.cast(int, kind), t.cast(bytes, body)) for kind, body in parts)
    if chance.random() < 0.2:
        spot = chance.randrange(len(encoded))
        encoded = encoded[:spot] + bytes([chance.randrange(256)]) + encoded[spot + 1 :]
    return encoded


def test_keys(home: Path, chance: random.Random) -> None:
    originals = [path.read_bytes() for path in sorted(FIXTURES.glob("*.asc")) + sorted(FIXTURES.glob("*.gpg"))]
    binary = [openpgp.dearmour(data) for data in originals]
    armoured = [mutations.armour(data, LABEL).replace(b"-----\n", b"-----\n\n", 1) for data in binary]
    texts = [*originals, *armoured]
    tried = list(texts)
    while len(tried) < mutations.MUTATIONS // 6:
        if chance.random() < 0.5:
            tried.append(mutations.of_text(chance, chance.choice(armoured), armoured, LABEL))
        else:
            tried.append(packets_mutated(chance, chance.choice(binary), binary))
    seen: set[bytes] = set()
    whole = 0
    for data in tried:
        ours, written = accepted(data)
        if not ours or written in seen or len(seen) > mutations.MUTATIONS // 60:
            continue
        seen.add(written)
        assert openpgp.keyring(written) == written, data
        # gpg also verifies signatures, and leaves out what is not signed by its owner. It has nothing that we have not.
        of_file, of_written = read_by_gpg(home, data), read_by_gpg(home, written)
        assert set(of_file) | set(of_written) <= set(ours), data
        assert of_written == ours or data not in texts, data
        whole += of_written == ours
    print(f"keys: {len(tried)}, keyrings written {len(seen)}, read by gpg as a whole {whole}")
    assert len(seen) > whole > len(originals)


def test_files_in_which_apt_finds_another_key(home: Path) -> None:
    pinned, other = (FIXTURES / "kubernetes.asc").read_bytes(), (FIXTURES / "docker.asc").read_bytes()
    foreign = other.replace(b"PGP PUBLIC KEY BLOCK", b"APT KEY")
    assert accepted(pinned)[0] and read_by_gpg(home, pinned) == accepted(pinned)[0]
    for data in (foreign + pinned, pinned + foreign, b"text\n" + pinned, pinned + b"text\n", b"x" + pinned):
        assert accepted(data) == ([], b"")
    both = accepted(other + pinned)
    assert read_by_gpg(home, both[1]) == both[0] != accepted(pinned)[0]
