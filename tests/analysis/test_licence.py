"""Licences that are missing, that disagree with the metadata, or that a file has of its own."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bullpen.analysis.analysers._licence_texts import (
    agree,
    copyleft_header,
    licence_of_classifier,
    licence_of_name,
    licence_of_text,
)
from bullpen.analysis.roast import ANALYSERS

pytestmark = pytest.mark.req("ROA-02")

MIT = """MIT License

Copyright (c) 2026 Ann

Permission is hereby granted, free of charge, to any person
obtaining a copy of this software and associated documentation files
"""
BSD3 = """Redistribution and use in source and binary forms are permitted:
1. Redistributions of source code must retain the above copyright notice.
2. Redistributions in binary form must reproduce the above copyright notice.
3. Neither the name of the holder nor the names of its contributors may be used.
"""
GPL3 = "GNU GENERAL PUBLIC LICENSE\n  Version 3, 29 June 2007\n"
APACHE = "                 Apache License\n           Version 2.0, January 2004\n"
HEADER = """\
#!/usr/bin/env python3
# This program is free software: you can redistribute it and/or modify
# it under the terms of the GNU General Public License as published by
# the Free Software Foundation, either version 3 of the License, or
# (at your option) any later version.
import os
"""


async def look(make_tree, sandbox, files):
    analyser = ANALYSERS.load("licence")
    tree = make_tree(files)
    seen = await analyser.analyse(tree, [path for path in tree.files if analyser.wants(path)], sandbox)
    return [(each.rule.removeprefix("licence:"), str(each.place)) for each in seen]


@pytest.mark.parametrize(
    ("files", "seen"),
    [
        ({"setup.py": "setup(name='a')\n"}, [("missing", "setup.py:1")]),
        ({"package.json": '{"name": "a"}'}, [("missing", "package.json:1")]),
        (
            {"pyproject.toml": '[project]\nname = "a"\nlicense = "MIT"\n', "LICENSE": APACHE},
            [("disagrees", "pyproject.toml:3")],
        ),
        (
            {"pyproject.toml": '[project]\nlicense = {text = "BSD-2-Clause"}\n', "COPYING.txt": BSD3},
            [("disagrees", "pyproject.toml:2")],
        ),
        (
            {
                "pyproject.toml": '[project]\nclassifiers = [\n "License :: OSI Approved :: MIT License"]\n',
                "LICENCE": GPL3,
            },
            [("disagrees", "pyproject.toml:3")],
        ),
        (
            {"package.json": '{\n "name": "a",\n "license": "ISC"\n}', "LICENSE.md": MIT},
            [("disagrees", "package.json:3")],
        ),
        ({"LICENSE": MIT, "a/b.py": HEADER}, [("copyleft-in-permissive", "a/b.py:3")]),
        (
            {"LICENSE": MIT, "b.c": "/* SPDX-License-Identifier: LGPL-2.1-or-later */\n"},
            [("copyleft-in-permissive", "b.c:1")],
        ),
        (
            {"pyproject.toml": '[project]\nlicense = "Apache-2.0"\n', "b.py": f'"""Old.\n{HEADER}"""\n'},
            [("copyleft-in-permissive", "b.py:4")],
        ),
    ],
)
async def test_what_is_at_odds_is_told(make_tree, sandbox, files, seen):
    assert await look(make_tree, sandbox, files) == seen


@pytest.mark.parametrize(
    "files",
    [
        {"script.py": "print()\n"},
        {"setup.py": "setup(license='proprietary')\n"},
        {"package.json": '{"license": "UNLICENSED"}'},
        {"pyproject.toml": '[project]\nlicense = "MIT"\n', "LICENSE.txt": MIT},
        {"pyproject.toml": '[project]\nlicense = "MIT OR Apache-2.0"\n', "LICENSE": APACHE},
        {"pyproject.toml": '[project]\nlicense = "MIT"\n', "LICENSE-MIT": MIT, "LICENSE-APACHE": APACHE},
        {"pyproject.toml": '[project]\nlicense = "MIT"\n', "LICENSE": f"{MIT}\nParts:\n{APACHE}"},
        {"pyproject.toml": '[project]\nlicense = "MIT"\n', "LICENSE": "Ask Ann.\n"},
        {"pyproject.toml": '[project]\nlicense = {file = "LICENSE"}\n', "LICENSE": MIT},
        {
            "pyproject.toml": '[project]\nclassifiers = ["License :: OSI Approved :: BSD License"]\n',
            "LICENSE": BSD3,
        },
        {"pyproject.toml": '[project]\nclassifiers = "License :: x"\nlicense = 3\n', "LICENSE": BSD3},
        {"LICENSE": GPL3, "a.py": HEADER},
        {"LICENSE": MIT, "tests/a.py": HEADER},
        {"LICENSE": MIT, "a.py": f"{HEADER.partition('import')[0]}# Alternatively, under the MIT licence.\n"},
        {"LICENSE": MIT, "a.py": "import os\n" + HEADER},
        {"LICENSE": MIT, "a.py": '"""Tells a GNU General Public License from others."""\n'},
        {"LICENSE": MIT, "a.py": "# SPDX-License-Identifier: MIT OR GPL-2.0-only\n"},
        {"LICENSE": MIT, "a.py": "# SPDX-License-Identifier: GPL-2.0 WITH Classpath-exception-2.0\n"},
        {
            "LICENSE": b"\xff\xfe",
            "package.json": "[" * 100_000,
            "pyproject.toml": "license = ",
            "a.py": b"# \xff",
        },
    ],
)
async def test_what_agrees_or_is_not_known_is_left_alone(make_tree, sandbox, files):
    assert await look(make_tree, sandbox, files) == []


def test_our_own_licence_is_known():
    assert licence_of_text((Path(__file__).parents[2] / "LICENSE").read_text("utf-8")) == "Apache-2.0"


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("mit", "MIT"),
        ("GPL-3.0-or-later", "GPL-3.0"),
        ("LGPL-2.1+", "LGPL"),
        ("AGPL-3.0-only", "AGPL"),
        ("X", ""),
    ],
)
def test_names_of_licences(name, meant):
    assert licence_of_name(name) == meant


def test_classifiers_and_kinds_of_bsd():
    assert licence_of_classifier("License :: OSI Approved :: Apache Software License") == "Apache-2.0"
    assert licence_of_classifier("License :: OSI Approved :: Something Else") == ""
    assert agree("BSD", "BSD-3-Clause")
    assert not agree("BSD-2-Clause", "BSD-3-Clause")


@given(st.text(max_size=300))
def test_any_head_of_a_file_can_be_read(text):
    for kind, offset in copyleft_header(text):
        assert kind in {"GPL", "LGPL", "AGPL"}
        assert 0 <= offset < len(text)
