"""Faults in JavaScript, TypeScript and Go: each kind is there, and each is a program its own tools take."""

import shutil
import subprocess
from pathlib import Path

import pytest

from bullpen.codegraph.faults.base import faults_of, suffix_of

SCRIPT = """\
"use strict";
const fs = require("node:fs");
const NAMES = { "a": 1, b: "two" };

class Cart extends Base {
  constructor(lines) {
    super(lines);
    this.lines = lines;
  }
  async total(rate = 1) {
    let sum = 0;
    for (const line of this.lines) {
      sum += line.cents * rate;
    }
    if (!(await this.open()) && sum >= 100) {
      throw new Error(`too much: ${sum}`);
    }
    this.log(sum);
    return this.lines.some((line) => line.free) ? 0 : Math.max(sum, 0n);
  }
}
"""
GO = """\
package shop

import "fmt"

const most = 3

type line struct {
	name string `json:"name"`
}

func (l *line) cost(n int, free bool) (total int, err error) {
	defer fmt.Println("done")
	for _, one := range []int{1, 2} {
		total += one
	}
	count := n + 1
	if !free && count < most {
		count--
		return count - 1, nil
	}
	panic(l.name + "x")
}

func both() (int, string) { return 1, "a" }
"""


def told(path: str, source: str) -> dict[int, list[str]]:
    faults = faults_of(path)
    assert faults is not None
    found = faults.put(source, suffix_of(path), range(1, 60), 500)
    assert found is not None
    lines: dict[int, list[str]] = {}
    for one in found:
        lines.setdefault(one.line, []).append(one.what)
    return lines


@pytest.mark.req("IMP-10")
def test_kinds_of_faults_in_a_script() -> None:
    found = told("cart.js", SCRIPT)
    assert 1 not in found
    assert 2 not in found
    assert found[3] == ['{ "a": 1, b: "two" } became undefined', "1 became (1 + 1)", '"two" became "twox"']
    assert 7 not in found
    assert found[8] == ["lines became undefined"]
    assert found[12] == ["this.lines became []"]
    assert found[13] == ["+= became -=", "* became +"]
    assert any(what.startswith("&& became ||") for what in found[15])
    assert any(what.startswith(">= became >") for what in found[15])
    assert found[16][0].endswith("became ;")
    assert "this.log(sum); became ;" in found[18]
    assert {"some became every", "max became min", "line.free became undefined"} <= set(found[19])
    assert not any("0n" in what.split(" became ")[0] and what.endswith("+ 1)") for what in found[19])


def test_types_hold_nothing_that_runs() -> None:
    source = 'import { A } from "./a";\ninterface B { c: "d"; }\ntype E = 3;\nfunction f(g: "h"): 4 {\n  return g as never;\n}\n'
    assert set(told("a.ts", source)) == {5}


def test_kinds_of_faults_in_go() -> None:
    found = told("shop.go", GO)
    assert set(found) == {
        5,
        12,
        13,
        14,
        16,
        17,
        18,
        19,
        21,
        24,
    }  # no tags of fields, no panic that ends a function
    assert found[13] == [" became if true { break };", "1 became (1 + 1)", "2 became (2 + 1)"]
    assert found[14] == ["total += one became if false { total += one }"]
    assert found[16] == ["+ became -", "1 became (1 + 1)"]
    assert found[17][1:] == ["&& became ||", "!free became (!!free)", "< became <="]
    assert found[21] == ['"x" became "xx"']  # texts are not subtracted
    assert found[24][0].startswith(" became if true { return *new(int), *new(string")


@pytest.mark.skipif(shutil.which("node") is None, reason="needs node")
@pytest.mark.slow
def test_every_fault_of_a_script_can_be_run(tmp_path: Path) -> None:
    faults = faults_of("a.js")
    assert faults is not None
    for one in faults.put(SCRIPT, ".js", range(1, 60), 500) or ():
        (tmp_path / "a.js").write_text(one.source, "utf-8")
        subprocess.run(["node", "--check", str(tmp_path / "a.js")], check=True, timeout=60)


@pytest.mark.skipif(shutil.which("go") is None, reason="needs go")
@pytest.mark.slow
@pytest.mark.timeout(300)
def test_every_fault_of_go_compiles(tmp_path: Path) -> None:
    """All in one build: each fault in a package of its own."""
    faults = faults_of("a.go")
    assert faults is not None
    (tmp_path / "go.mod").write_text("module shop\n\ngo 1.20\n", "utf-8")
    for number, one in enumerate(faults.put(GO, ".go", range(1, 60), 500) or ()):
        (tmp_path / f"p{number}").mkdir()
        (tmp_path / f"p{number}" / "shop.go").write_text(one.source, "utf-8")
    done = subprocess.run(["go", "build", "./..."], cwd=tmp_path, capture_output=True, timeout=280)
    assert done.returncode == 0, done.stderr.decode()
