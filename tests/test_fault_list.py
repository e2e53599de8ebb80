"""Each fault that docs/testing.md lists has a test that names its number.

In a test's name as ``fault_07``; or in its docstring, or that of its file or class, as ``Fault 7``, ``Faults 7 and 8``.
"""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from tests.source_tree import ROOT, python_files, syntax_tree

#: A row of the list: its number, the fault, what must hold.
ROW = re.compile(r"^\| (\d+) \|", re.MULTILINE)
IN_NAME = re.compile(r"fault_(\d+)")
IN_WORDS = re.compile(r"\bFaults? (\d+(?:(?:, | and )\d+)*)")


def listed() -> set[int]:
    return {int(number) for number in ROW.findall((ROOT / "docs" / "testing.md").read_text(encoding="utf-8"))}


def named_in(path: Path) -> Iterator[int]:
    tree = syntax_tree(path)
    for node in [tree, *ast.walk(tree)]:
        if not isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        if not isinstance(node, ast.Module):
            yield from map(int, IN_NAME.findall(node.name))
        for numbers in IN_WORDS.findall(ast.get_docstring(node) or ""):
            yield from map(int, re.findall(r"\d+", numbers))


def test_every_fault_on_the_list_is_named_by_a_test() -> None:
    files = [path for path in python_files("tests") if path != Path(__file__).resolve()]
    named = {number for path in files for number in named_in(path)}

    assert listed() - named == set()


def test_no_test_names_a_fault_that_is_not_on_the_list() -> None:
    strangers = {str(path.relative_to(ROOT)) for path in python_files("tests") if set(named_in(path)) - listed()}

    assert strangers - {"tests/test_fault_list.py"} == set()


def test_the_list_is_as_long_as_it_was() -> None:
    """A row that is lost in an edit would take the need for its test with it."""
    assert {*range(1, 10), *range(11, 19), 20, 23, 24, 25} <= listed()
