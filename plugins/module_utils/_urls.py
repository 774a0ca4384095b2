# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""URLs as they are written into files and as other programs read them.

Python drops line ends, tabs and blanks out of a URL before it looks at it; what is written then has them still.

Private to this collection.
"""

from __future__ import annotations

import re
import typing as t
import urllib.parse

_UNFIT = re.compile(r"[\s\x00-\x1f\x7f]")


def split_url(text: str) -> urllib.parse.SplitResult:
    """The parts of a URL.

    :raises ValueError: when it is malformed, which one with blanks, line ends or control characters is.
    """
    if _UNFIT.search(text):
        raise ValueError("it has blanks, line ends or control characters")
    return urllib.parse.urlsplit(text)


def is_web(text: t.Any, bare: bool = False) -> bool:
    """Whether it is the URL of a web server.

    :param bare: without a login, a query and a fragment.
    """
    try:
        parts = split_url(str(text))
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False
    return usable and not (bare and re.search("[?#@]", str(text)))
