"""The house style's numbers and rules that no linter knows, held on every Python file of the project.

A failing test lists each offender as ``path:line: what``. The limits let a file be read in one sitting and a function
on one screen; the way out is to divide, not to raise a limit.
"""

import ast
import re
import statistics
import sys

from tests.source_tree import (
    EVERYWHERE,
    PACKAGES,
    ROOT,
    at,
    broad_catches,
    comments,
    functions,
    imported_roots,
    length,
    lines,
    nodes,
    project_files,
    python_files,
    syntax_tree,
    unannotated,
    words,
)

MAX_FILE_LINES = 300
MAX_MEDIAN_FILE_LINES = 120
MAX_FUNCTION_LINES = 70
MAX_P90_FUNCTION_LINES = 25
MIN_SENTENCE_WORDS = 4

# Where catching everything is the point, as "path:function", and why. Everything else names what it expects.
ALLOWED_BROAD_EXCEPTS: dict[str, str] = {
    "handlers/isolation.py:attempt": "one deployment's failing repository call must not fail its neighbours",
    "handlers/executor.py:scale_deployment": "one deployment's odd route must not fail its neighbours",
    "service/admin/figures.py:run": "a defect in what only looks on must not end the worker",
    "handlers/reconciler.py:_run": "the outermost loop of background work: one bad round must not end all",
}

DRAWERS = {"common", "helper", "helpers", "misc", "util", "utils"}
IMPURE_CALLS = {"now", "utcnow", "today", "uuid1", "uuid4", "open", "print", "input"}

# An exemption names its rule, then its reason: "noqa: RULE - why", "type: ignore[rule] # why".
EXEMPTION = re.compile(r"#\s*(?:noqa\b|ruff:|mypy:|type:\s*ignore\b|pragma:)")
EXPLAINED_EXEMPTION = re.compile(
    r"#\s*(?:(?:ruff:\s*)?noqa:\s*[A-Z]+\d+(?:,\s*[A-Z]+\d+)*|type:\s*ignore\[[a-z, -]+\]|mypy:\s*[\w-]+"
    r"|pragma:\s*no \w+)"
    r"(?P<reason>.+)"
)
SOMEBODYS_PATH = re.compile(r"(?<![\w.-])/(?:home|Users|root|work|mnt)/\w")


def test_no_file_is_longer_than_the_hard_limit() -> None:
    long = [path for path in python_files(*EVERYWHERE) if len(lines(path)) > MAX_FILE_LINES]

    assert [at(path, len(lines(path)), f"more than {MAX_FILE_LINES} lines") for path in long] == []


def test_half_of_the_package_files_are_short() -> None:
    sizes = [len(lines(path)) for path in python_files(*PACKAGES) if lines(path)]

    assert statistics.median(sizes) <= MAX_MEDIAN_FILE_LINES


def test_no_function_is_longer_than_a_screen() -> None:
    long = [(path, each) for path, each in functions(*EVERYWHERE) if length(each) > MAX_FUNCTION_LINES]

    assert [at(path, each.lineno, f"{each.name} has {length(each)} lines") for path, each in long] == []


def test_nine_of_ten_package_functions_are_short() -> None:
    sizes = [length(each) for _, each in functions(*PACKAGES)]

    assert statistics.quantiles(sizes, n=10)[-1] <= MAX_P90_FUNCTION_LINES


def test_every_parameter_and_result_has_a_type() -> None:
    assert [gap for path, each in functions(*EVERYWHERE) for gap in unannotated(path, each)] == []


def test_no_handler_catches_without_naming_what() -> None:
    bare = [(path, node) for path, node in nodes(ast.ExceptHandler, *EVERYWHERE) if node.type is None]

    assert [at(path, node.lineno, "bare except") for path, node in bare] == []


def test_everything_is_caught_only_where_the_list_above_says_why() -> None:
    found = {
        f"{path.relative_to(ROOT)}:{each.name}" for path, each in functions(*EVERYWHERE) if any(broad_catches(each))
    }

    assert found == set(ALLOWED_BROAD_EXCEPTS)
    assert [where for where, why in ALLOWED_BROAD_EXCEPTS.items() if len(words(why)) < MIN_SENTENCE_WORDS] == []


def test_every_exemption_from_a_check_names_its_rule_and_reason() -> None:
    unexplained = []
    for path in python_files(*EVERYWHERE):
        for line, comment in comments(path):
            explained = EXPLAINED_EXEMPTION.search(comment)
            if EXEMPTION.search(comment) and not (explained and words(explained["reason"])):
                unexplained.append(at(path, line, comment))

    assert unexplained == []


def test_every_test_says_in_words_what_must_hold() -> None:
    mute = [
        at(path, each.lineno, each.name)
        for path, each in functions("tests")
        if each.name.startswith("test_")
        and len(words(each.name.removeprefix("test_"))) < MIN_SENTENCE_WORDS
        and len(words(ast.get_docstring(each) or "")) < MIN_SENTENCE_WORDS
    ]

    assert mute == []


def test_no_file_is_a_drawer_for_anything() -> None:
    drawers = [path for path in python_files(*EVERYWHERE) if DRAWERS & set(words(path.stem))]

    assert [str(path.relative_to(ROOT)) for path in drawers] == []


def test_every_package_folder_is_a_package() -> None:
    """A folder without a package file is missing from the built distribution."""
    folders = {path.parent for path in python_files(*PACKAGES)}

    assert [str(each.relative_to(ROOT)) for each in sorted(folders) if not (each / "__init__.py").exists()] == []


def test_the_domain_imports_pydantic_and_the_standard_library_only() -> None:
    allowed = sys.stdlib_module_names | {"pydantic", "domain"}
    foreign = [
        at(path, line, name)
        for path in python_files("domain")
        for line, name in imported_roots(syntax_tree(path))
        if name not in allowed
    ]

    assert foreign == []


def test_the_domain_reads_no_clock_and_makes_no_identifiers() -> None:
    called = [(path, node, ast.unparse(node.func)) for path, node in nodes(ast.Call, "domain")]

    assert [at(path, node.lineno, name) for path, node, name in called if name.split(".")[-1] in IMPURE_CALLS] == []


def test_no_file_names_a_path_of_somebodys_machine() -> None:
    named = []
    for path in project_files():
        try:
            text = lines(path)
        except UnicodeDecodeError:
            continue  # a binary file has no paths to read
        named += [at(path, number, line) for number, line in enumerate(text, 1) if SOMEBODYS_PATH.search(line)]

    assert named == []
