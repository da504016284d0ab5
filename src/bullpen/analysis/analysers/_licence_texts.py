"""Which licence a text is, by sentences only that licence has; and which licence a name means."""

import re
from collections.abc import Iterator

COPYLEFT = frozenset({"GPL", "AGPL", "LGPL"})
PERMISSIVE = frozenset(
    {"MIT", "BSD", "BSD-2-Clause", "BSD-3-Clause", "Apache-2.0", "ISC", "Unlicense", "0BSD"}
)

# Sentences that must all be there, in lower case with single spaces; the first that fits decides.
_TEXTS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("AGPL", ("gnu affero general public license version 3",)),
    ("LGPL", ("gnu lesser general public license version",)),
    ("LGPL", ("gnu library general public license version",)),
    ("GPL-3.0", ("gnu general public license version 3, 29 june 2007",)),
    ("GPL-2.0", ("gnu general public license version 2, june 1991",)),
    ("MPL-2.0", ("mozilla public license version 2.0",)),
    ("Apache-2.0", ("apache license version 2.0, january 2004",)),
    (
        "BSD-3-Clause",
        ("redistributions of source code must retain", "neither the name", "redistributions in binary form"),
    ),
    ("BSD-2-Clause", ("redistributions of source code must retain", "redistributions in binary form")),
    ("MIT", ("permission is hereby granted, free of charge, to any person obtaining a copy",)),
    (
        "ISC",
        (
            "permission to use, copy, modify, and/or distribute this software for any purpose",
            "provided that the above copyright notice",
        ),
    ),
    ("0BSD", ("permission to use, copy, modify, and/or distribute this software for any purpose",)),
    ("Unlicense", ("this is free and unencumbered software released into the public domain",)),
)
# Of different makers, so that a file with two of them is two licences.
_MARKS = (
    "gnu ",
    "mozilla public license version",
    "apache license version",
    "redistributions of source code must retain",
    "permission is hereby granted, free of charge",
    "permission to use, copy, modify, and/or distribute",
    "free and unencumbered software",
)
_CLASSIFIERS = {
    "MIT License": "MIT",
    "MIT No Attribution License (MIT-0)": "",
    "BSD License": "BSD",
    "Apache Software License": "Apache-2.0",
    "ISC License (ISCL)": "ISC",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
    "GNU General Public License v3 (GPLv3)": "GPL-3.0",
    "GNU General Public License v3 or later (GPLv3+)": "GPL-3.0",
    "GNU General Public License v2 (GPLv2)": "GPL-2.0",
    "GNU General Public License v2 or later (GPLv2+)": "GPL-2.0",
    "GNU Affero General Public License v3": "AGPL",
    "GNU Affero General Public License v3 or later (AGPLv3+)": "AGPL",
    "The Unlicense (Unlicense)": "Unlicense",
}
_SPDX = re.compile(
    r"(?P<name>MIT|ISC|0BSD|Unlicense|BSD-[23]-Clause|BSD|Apache-2\.0|MPL-2\.0|AGPL-3\.0|LGPL-[23]\.[01]|GPL-[23]\.0)"
    r"(?:-only|-or-later|\+)?",
    re.IGNORECASE,
)
_HEADER = re.compile(
    r"SPDX-License-Identifier:\s*(?P<spdx>[^\n*]+)"
    r"|\bunder\s+(?:the\s+)?(?:terms\s+(?:and\s+conditions\s+)?of\s+)?(?:the\s+)?(?:version\s+\d\s+of\s+the\s+)?"
    r"GNU\s+(?P<which>Affero\s+|Lesser\s+|Library\s+)?General\s+Public\s+Licen[sc]e",
    re.IGNORECASE,
)
_CHOICE = re.compile(
    r"\bexceptions?\b|\balternatively\b|\bdual(?:ly)?[- ]licen[sc]ed|\bMIT\b|\bBSD\b|\bApache\b|\bMPL\b|\bMozilla\b",
    re.IGNORECASE,
)
_COMMENT = re.compile(r"^[ \t]*(?:#+|//+|/?\*+/?|--|;+|%+|rem\b)?[ \t]*", re.MULTILINE)
_WITH_VERSION = re.compile(r"GPL-[23]\.0|LGPL|AGPL|GPL")


def licence_of_text(text: str) -> str:
    """The licence a file holds; empty if it is none of those known, or more than one."""
    plain = " ".join(text.lower().split())
    if sum(mark in plain for mark in _MARKS) != 1:
        return ""
    return next((name for name, words in _TEXTS if all(each in plain for each in words)), "")


def licence_of_name(name: str) -> str:
    """What an SPDX identifier means to ``licence_of_text``; empty for expressions and for what is not known."""
    match = _SPDX.fullmatch(name.strip())
    if match is None:
        return ""
    known = {each.lower(): each for each in (*PERMISSIVE, "MPL-2.0", "GPL-2.0", "GPL-3.0")}
    plain = match["name"].lower()
    return known.get(plain) or ("AGPL" if plain.startswith("agpl") else "LGPL")


def licence_of_classifier(classifier: str) -> str:
    """What a trove classifier means; empty for what is not known."""
    return _CLASSIFIERS.get(classifier.rpartition(" :: ")[2], "")


def agree(one: str, other: str) -> bool:
    """Whether two names may mean the same; ``BSD`` may be either of its kind."""
    return one == other or ("BSD" in (one, other) and one.startswith("BSD") and other.startswith("BSD"))


def copyleft_header(head: str) -> Iterator[tuple[str, int]]:
    """The GNU licence the head of a source file puts it under, with the offset; none where there is a choice."""
    match = _HEADER.search(_COMMENT.sub(lambda found: " " * len(found[0]), head))
    if match is None or _CHOICE.search(head):
        return
    if match["spdx"] is None:
        kind = (match["which"] or "").strip().lower()
        yield {"": "GPL", "affero": "AGPL"}.get(kind, "LGPL"), match.start()
    elif (name := licence_of_name(match["spdx"].strip().rstrip("-/ >"))) and family(name) in COPYLEFT:
        yield family(name), match.start()


def family(name: str) -> str:
    """``GPL`` of ``GPL-3.0``."""
    return name.partition("-")[0] if _WITH_VERSION.match(name) else name
