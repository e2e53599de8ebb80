"""The project's own files as text and syntax trees, for tests that hold rules about the sources."""

import ast
import io
import re
import shutil
import subprocess
import tokenize
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import TypeVar

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("domain", "handlers", "projections", "adapters", "service")
EVERYWHERE = (*PACKAGES, "tests", "bench")

BROAD_EXCEPTIONS = {"Exception", "BaseException"}

Function = ast.FunctionDef | ast.AsyncFunctionDef
Node = TypeVar("Node", bound=ast.AST)


def files_known_to_git() -> list[Path]:
    """Every file that git tracks or would offer to track; none where there is no git or no repository."""
    git = shutil.which("git")
    if git is None or not (ROOT / ".git").exists():
        return []
    command = [git, "-C", str(ROOT), "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    listing = subprocess.run(command, capture_output=True, check=False)
    return [ROOT / name for name in listing.stdout.decode().split("\0") if name]


@cache
def project_files() -> tuple[Path, ...]:
    """Every file of the project, without what tools and builds leave behind."""
    files = files_known_to_git() or [
        path for path in ROOT.rglob("*") if not any(part.startswith(".") for part in path.relative_to(ROOT).parts[:-1])
    ]
    return tuple(sorted(path for path in files if path.is_file()))


@cache
def python_files(*folders: str) -> tuple[Path, ...]:
    """The Python files below the given top-level folders."""
    return tuple(path for path in project_files() if path.suffix == ".py" and top(path) in folders)


def top(path: Path) -> str:
    """The top-level folder that a file is in."""
    return path.relative_to(ROOT).parts[0]


@cache
def lines(path: Path) -> tuple[str, ...]:
    """The lines of a file."""
    return tuple(path.read_text(encoding="utf-8").splitlines())


@cache
def syntax_tree(path: Path) -> ast.Module:
    """The syntax tree of a file."""
    return ast.parse(path.read_bytes(), filename=str(path))


def nodes(kind: type[Node], *folders: str) -> Iterator[tuple[Path, Node]]:
    """Every syntax node of one kind with the file it stands in."""
    for path in python_files(*folders):
        for node in ast.walk(syntax_tree(path)):
            if isinstance(node, kind):
                yield path, node


def functions(*folders: str) -> Iterator[tuple[Path, Function]]:
    """Every function and method with the file it stands in."""
    yield from nodes(ast.FunctionDef, *folders)
    yield from nodes(ast.AsyncFunctionDef, *folders)


def length(function: Function) -> int:
    """Lines from ``def`` to the last line of the body."""
    return (function.end_lineno or function.lineno) - function.lineno + 1


def at(path: Path, line: int, what: str) -> str:
    """One offence, as a line that an editor can follow."""
    return f"{path.relative_to(ROOT)}:{line}: {what}"


def unannotated(path: Path, function: Function) -> Iterator[str]:
    """What a function leaves without a type: each parameter (but ``self`` and ``cls``) and the result."""
    arguments = function.args
    positional = [*arguments.posonlyargs, *arguments.args]
    if positional and positional[0].arg in {"self", "cls"}:
        positional = positional[1:]
    variadic = [argument for argument in (arguments.vararg, arguments.kwarg) if argument is not None]
    for argument in (*positional, *arguments.kwonlyargs, *variadic):
        if argument.annotation is None:
            yield at(path, argument.lineno, f"{function.name}: {argument.arg} has no type")
    if function.returns is None:
        yield at(path, function.lineno, f"{function.name}: the result has no type")


def names_in(expression: ast.expr | None) -> set[str]:
    """The plain names in an expression such as ``(OSError, Exception)``."""
    return {node.id for node in ast.walk(expression) if isinstance(node, ast.Name)} if expression else set()


def broad_catches(scope: ast.AST) -> Iterator[ast.AST]:
    """Below a syntax node: what catches everything and keeps it. A handler that ends by raising it again does not."""
    for node in ast.walk(scope):
        if isinstance(node, ast.ExceptHandler):
            swallows = not (isinstance(node.body[-1], ast.Raise) and node.body[-1].exc is None)
            if swallows and names_in(node.type) & BROAD_EXCEPTIONS:
                yield node
        if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("suppress"):
            yield from (node for argument in node.args if names_in(argument) & BROAD_EXCEPTIONS)


def comments(path: Path) -> Iterator[tuple[int, str]]:
    """Every comment of a file with its line number."""
    with io.BytesIO(path.read_bytes()) as source:
        for token in tokenize.tokenize(source.readline):
            if token.type == tokenize.COMMENT:
                yield token.start[0], token.string


def words(text: str) -> list[str]:
    """The words of a name or a sentence."""
    return re.findall(r"[^\W_]+", text)


def imported_roots(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """The top-level name of every import with its line number."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name.split(".")[0]) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.lineno, node.module.split(".")[0]
