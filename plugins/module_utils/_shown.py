# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is printed of texts that somebody else wrote: nodes, clusters, servers, and people with their passwords.

A terminal obeys what it prints: a machine could hide or forge lines of a report by control characters in a name, and an
editor or browser by those that turn the direction of writing. And a URL may have a password in it.

Nothing of Ansible is needed here. Private to this collection.
"""

from __future__ import annotations

import re
import typing as t
import unicodedata

#: Characters of one text in a list or a sentence; a name has at most 253.
LONGEST = 300

_LINE_FEED_AND_TAB = "\n\t"
_DIGEST = re.compile(r"[^@]*@sha256:[0-9a-fA-F]+")
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:/{1,3}|//")
#: A URL in a text, up to what certainly is not part of it. A password may have anything in it: where something else
#: than a port follows the colon, all is taken for it up to the line's last ``@`` before another URL, or to the next
#: space. Spaces and quotes are looked through for a while only, or long texts would take long.
_URL = re.compile(
    r"(?:[A-Za-z][A-Za-z0-9+.-]*:)?//"
    r"(?:(?:\[[0-9A-Fa-f:.%]+\]|(?!\[)[^\s/@:]*):(?![0-9]{1,5}(?:[^0-9@]|\Z))(?:(?:(?!://)[^\n]){0,200}@|\S*)"
    r"|(?:(?!://)\S){0,200}@|[^\s\"'<>]*@)?[^\s\"'<>]*"
)
_WITHOUT_SCHEME = re.compile(r"[^\s/\"'<>:@=(]+:(?!//)(?:\S{1,100}|[^\s/\"'<>@]+)@[^\s\"'<>]*")
#: A colon or an ``@`` where a host should be, written as somebody does who has put the whole login into quotes.
_ENCODED = re.compile(r"[^/?#]*%(?:3a|40)", re.IGNORECASE)
HIDDEN = "***"
#: What stands where a port should be and is no password: a port, and what manuals write there.
_PORT = re.compile(r"[0-9]{0,5}|<?port>?")


def _escaped(character: str) -> str:
    number = ord(character)
    return f"\\x{number:02x}" if number < 0x100 else f"\\u{number:04x}" if number < 0x10000 else f"\\U{number:08x}"


def _is_harmless(character: str) -> bool:
    # Cc, Cf, Cs, Co, Cn: control, format (direction of writing, of no width), halves of pairs, private, unknown.
    # Zl, Zp: separators of lines and paragraphs. Variation selectors change nothing that anybody sees.
    return unicodedata.category(character) not in ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp")


def lines_shown(text: t.Any) -> str:
    """``text``, which may have lines and tabs, with everything else escaped that is not seen as it is."""
    return "".join(
        character if character in _LINE_FEED_AND_TAB or _is_harmless(character) else _escaped(character)
        for character in str(text)
    )


def shown(text: t.Any, longest: int = 0) -> str:
    r"""``text`` as part of a line: nothing in it ends the line (``\n`` is printed as two characters) or moves it.

    :param longest: so many characters at most; 0 for all.
    """
    whole = str(text)
    cut = whole[:longest] + "..." if 0 < longest < len(whole) else whole
    return "".join(
        character
        if _is_harmless(character)
        else {"\n": "\\n", "\r": "\\r", "\t": "\\t"}.get(character) or _escaped(character)
        for character in cut
    )


def listed(texts: t.Iterable[t.Any]) -> str:
    """``texts`` as part of a line, separated by commas."""
    return ", ".join(shown(text, LONGEST) for text in texts)


def url_shown(url: t.Any) -> str:
    """``url``, or what somebody took for one, without what may be a password in it.

    Whatever stands before an ``@`` goes, and what stands where a port should be and is none, since the writer may have
    made a mistake there: ``https://user:secret``. So does a query, in which others give tokens.

    >>> url_shown("https://user:secret@mirror.example.org:5000/v2/?token=1")
    'https://***@mirror.example.org:5000/v2/?***'
    """
    text = str(url)
    scheme = _SCHEME.match(text)
    start, rest = (text[: scheme.end()], text[scheme.end() :]) if scheme else ("", text)
    if _DIGEST.fullmatch(rest):
        return text
    if _ENCODED.match(rest):
        return start + HIDDEN
    rest, mark, _query = rest.partition("?")
    if "@" in _query:
        # A password with a question mark in it.
        rest, mark = rest + mark + _query, ""
    rest, fragment = (rest.partition("#")[0], f"#{HIDDEN}") if "#" in rest and "@" not in rest else (rest, "")
    if "@" in rest:
        rest = f"{HIDDEN}@{rest.rpartition('@')[2]}"
    return start + _without_a_false_port(rest) + (f"?{HIDDEN}" if mark else fragment)


def _without_a_false_port(rest: str) -> str:
    """``host:port/path`` with a port that is none hidden, and all after it: a password may go on there."""
    user, at, host = rest.rpartition("@") if rest.startswith(f"{HIDDEN}@") else ("", "", rest)
    authority, slash, path = host.partition("/")
    name, bracket, after = authority.rpartition("]")
    name, colon, port = (name + bracket + after.partition(":")[0], *after.partition(":")[1:])
    if colon and not _PORT.fullmatch(port):
        return f"{user}{at}{name}:{HIDDEN}"
    return user + at + authority + slash + path


def without_credentials(text: t.Any) -> str:
    """``text``, for example what a program printed, with each URL in it as :func:`url_shown` has it."""
    shown_urls = _URL.sub(lambda match: _in_text(match.group()), str(text))
    return _WITHOUT_SCHEME.sub(lambda match: _in_text(match.group()), shown_urls)


def _in_text(url: str) -> str:
    """A URL in a text: what ends the sentence is no part of it."""
    end = re.search(r"[.,;:)\]}\"'>]*\Z", url)
    place = end.start() if end else len(url)
    return url_shown(url[:place]) + url[place:]


def secrets_of(url: t.Any) -> t.Set[str]:
    """What must not be printed of a URL's user and password: for AnsibleModule.no_log_values."""
    text = str(url or "")
    scheme = _SCHEME.match(text)
    rest = text[scheme.end() if scheme else 0 :]
    if _DIGEST.fullmatch(rest):
        return set()
    if _ENCODED.match(rest):
        return {rest}
    user, at, _host = rest.rpartition("@")
    if not at:
        port = rest.partition("/")[0].rpartition("]")[2].partition(":")[2]
        # The user forgot the host, and libraries print what they took for a port.
        return set() if _PORT.fullmatch(port) else {port, rest[rest.rindex(port) :]}
    # What is short is hidden together with the user's name only, or half of all words would be.
    passwords = {user.partition(":")[2], user.rpartition(":")[2]} if ":" in user else set()
    return {user} | {word for word in passwords if len(word) > 3}
