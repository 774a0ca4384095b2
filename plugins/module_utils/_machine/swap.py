# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where swap comes from: the kernel's list, fstab, systemd's units and services that make swap.

Private to this collection.
"""

from __future__ import annotations

import dataclasses
import glob
import os
import re
import typing as t

from ansible_collections.slipway.kubernetes.plugins.module_utils._files import read_text
from ansible_collections.slipway.kubernetes.plugins.module_utils._systemd import PACKAGED

UNITS = "/etc/systemd/system"
_GENERATED = ("/run/systemd/generator", "/run/systemd/generator.early", "/run/systemd/generator.late")
#: Services that turn swap on by themselves: zram-tools, zram-config, Armbian's, dphys-swapfile (Raspberry Pi OS),
#: swapspace and systemd-swap. Those of systemd's zram generator are swap units.
_SERVICES = (
    "zramswap.service",
    "zram-config.service",
    "armbian-zram-config.service",
    "dphys-swapfile.service",
    "swapspace.service",
    "systemd-swap.service",
)


@dataclasses.dataclass(frozen=True)
class SwapUnits:
    """Units that would turn swap on at the next boot.

    :param to_mask: units of packages and generators.
    :param links: what enables units that an administrator wrote; those cannot be masked.
    """

    to_mask: t.List[str]
    links: t.List[str]

    def names(self) -> t.List[str]:
        """All units, sorted."""
        return sorted({*self.to_mask, *(os.path.basename(link) for link in self.links)})


def active_swaps(text: str) -> t.List[str]:
    """Devices and files from ``/proc/swaps``, which writes spaces in octal digits."""
    names = [line.split()[0] for line in text.splitlines()[1:] if line.split()]
    return [re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), name) for name in names]


def is_swap_line(line: str) -> bool:
    """Whether a line of fstab mounts swap."""
    fields = line.split()
    return len(fields) >= 3 and not fields[0].startswith("#") and fields[2] == "swap"


def swap_units(root: str = "") -> SwapUnits:
    """Units that would turn swap on; those that systemd makes of fstab's lines are left out.

    :param root: a folder in the place of ``/``, for tests.
    """
    units = set()
    for folder in (*_GENERATED, *PACKAGED):
        for path in glob.glob(f"{root}{folder}/*.swap"):
            if "systemd-fstab-generator" not in read_text(path):
                units.add(os.path.basename(path))
    for service in _SERVICES:
        if any(os.path.exists(f"{root}{folder}/{service}") for folder in (*PACKAGED, *_GENERATED)):
            units.add(service)
    own = {os.path.basename(path) for path in glob.glob(f"{root}{UNITS}/*.swap")}
    own |= {service for service in _SERVICES if os.path.lexists(f"{root}{UNITS}/{service}")}
    links = []
    for name in own:
        if os.path.realpath(f"{root}{UNITS}/{name}") != "/dev/null":
            for kind in ("wants", "requires"):
                links += glob.glob(f"{root}{UNITS}/*.{kind}/{glob.escape(name)}")
    return SwapUnits(sorted(units - own), sorted(links))
