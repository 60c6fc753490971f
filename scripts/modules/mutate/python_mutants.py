"""The mutants of a Python file: each is one small change of its text, which leaves every line where it is.

Not changed: docstrings, annotations, decorators, what an f-string says, and what only a reader of --help
sees.
"""

from __future__ import annotations

import ast
import copy
from collections import Counter
from dataclasses import dataclass, replace
from typing import Iterator


@dataclass(frozen=True)
class Mutant:
    """One change of one file."""

    path: str  # from the root of the repository on
    function: str  # that is changed; "" outside of all
    line: int  # where the change begins
    lines: tuple[int, int]  # of the statement, or of its head: who runs one of them may notice
    late: bool  # inside a function: not run by the import of the file
    kind: str
    what: str  # the old text and the new one
    begin: int  # of the old text, in characters
    end: int
    text: str  # the new one

    @property
    def name(self) -> str:
        """What it is called, wherever its line moves to."""
        return f"{self.path}: {self.function or 'module'}: {self.what}"

    def apply(self, source: str) -> str:
        """Returns the file's text with the change."""
        return source[: self.begin] + self.text + source[self.end :]


COMPARISONS = {
    ast.Lt: (ast.LtE, ast.GtE),
    ast.LtE: (ast.Lt, ast.Gt),
    ast.Gt: (ast.GtE, ast.LtE),
    ast.GtE: (ast.Gt, ast.Lt),
    ast.Eq: (ast.NotEq,),
    ast.NotEq: (ast.Eq,),
    ast.Is: (ast.IsNot,),
    ast.IsNot: (ast.Is,),
    ast.In: (ast.NotIn,),
    ast.NotIn: (ast.In,),
}
OPERATIONS = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Div,
    ast.Mod: ast.Mult,
    ast.Pow: ast.Mult,
    ast.BitAnd: ast.BitOr,
    ast.BitOr: ast.BitAnd,
}
FUNCTIONS = {"min": "max", "max": "min", "any": "all", "all": "any", "sorted": "list"}
# Whose first two arguments may change places.
SYMMETRIC = ("min", "max", "np.minimum", "np.maximum")
# Keywords whose values are for a reader, or for the speed alone.
IDLE = ("flush", "help", "metavar", "description", "epilog", "every", "dpi", "fontsize", "linewidth")


def mutants_of(path: str, source: str) -> list[Mutant]:
    """Returns all mutants of a file, in the order of its lines. Of equal changes in one function the second
    one is named #2."""
    found = sorted(Finder(path, source).find(), key=lambda each: (each.begin, each.end, each.what))
    seen: Counter[str] = Counter()
    numbered = []
    for each in found:
        seen[each.name] += 1
        if seen[each.name] > 1:
            each = replace(each, what=f"{each.what} #{seen[each.name]}")
        numbered.append(each)
    return numbered


class Finder:
    """Walks over a file's syntax tree."""

    def __init__(self, path: str, source: str) -> None:
        self.path = path
        self.source = source
        self.starts = [0]
        for line in source.splitlines(keepends=True):
            self.starts.append(self.starts[-1] + len(line))
        self.lines = source.splitlines()
        self.statement = (1, 1)
        self.late = False

    def find(self) -> Iterator[Mutant]:
        """Yields all mutants."""
        yield from self.walk(ast.parse(self.source), "")

    # ---- places ----

    def at(self, line: int, column: int) -> int:
        """Returns a place in characters; the tree counts bytes."""
        before = self.lines[line - 1].encode()[:column].decode()
        return self.starts[line - 1] + len(before)

    def span(self, node: ast.AST) -> tuple[int, int]:
        """Returns (begin, end) of a node."""
        begin = self.at(getattr(node, "lineno"), getattr(node, "col_offset"))
        return begin, self.at(getattr(node, "end_lineno"), getattr(node, "end_col_offset"))

    def text(self, node: ast.AST) -> str:
        """Returns a node's text."""
        begin, end = self.span(node)
        return self.source[begin:end]

    def change(self, node: ast.AST, function: str, kind: str, new: str, bare: bool = False) -> Mutant:
        """Returns the mutant with another text in a node's place: an expression unless `bare`."""
        begin, end = self.span(node)
        old = self.source[begin:end]
        gap = "\n" * (old.count("\n") - new.count("\n"))
        if not bare:
            text = f"({new}{gap})"
        else:  # a statement of several lines: what is left of them stays inside brackets
            text = f"{new}; ({gap})" if gap else new
        what = f"{shown(old)} -> {shown(new)}"
        return self.mutant(function, getattr(node, "lineno"), kind, what, (begin, end), text)

    def mutant(
        self, function: str, line: int, kind: str, what: str, span: tuple[int, int], text: str
    ) -> Mutant:
        """Returns a mutant of the statement that is walked over."""
        return Mutant(self.path, function, line, self.statement, self.late, kind, what, *span, text)

    # ---- what is changed ----

    def walk(self, node: ast.AST, function: str) -> Iterator[Mutant]:
        """Yields the mutants of a node and of what is in it."""
        if isinstance(node, ast.stmt):
            self.statement = head_of(node)
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            yield from self.of_definition(node, f"{function}.{node.name}" if function else node.name)
            return
        if isinstance(node, (ast.JoinedStr, ast.Import, ast.ImportFrom)):
            return
        if isinstance(node, ast.If) and ast.unparse(node.test) in ("TYPE_CHECKING", "__name__ == '__main__'"):
            return
        yield from self.of_statement(node, function)
        yield from self.of_expression(node, function)
        for part in self.inside(node):
            yield from self.walk(part, function)

    def of_definition(
        self, node: ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef, name: str
    ) -> Iterator[Mutant]:
        """Yields the mutants of a function or a class."""
        before = self.late
        if not isinstance(node, ast.ClassDef):
            for each in (*node.args.defaults, *node.args.kw_defaults):
                yield from self.walk(each, name) if each else ()
            self.late = True
        for part in node.body:
            yield from self.walk(part, name)
        self.late = before

    def inside(self, node: ast.AST) -> Iterator[ast.AST]:
        """Yields the parts of a node that are changed."""
        if isinstance(node, ast.AnnAssign):
            yield from [node.value] if node.value else []
        elif isinstance(node, ast.Call):
            yield from (node.func, *node.args)
            yield from (each.value for each in node.keywords if each.arg not in IDLE)
        elif not (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)):  # a docstring
            yield from ast.iter_child_nodes(node)

    def of_statement(self, node: ast.AST, function: str) -> Iterator[Mutant]:
        """Yields changes of a whole statement, or of a condition."""
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
            yield self.change(node, function, "call dropped", "pass", bare=True)
        elif isinstance(node, (ast.Raise, ast.Continue, ast.Break)):
            yield self.change(node, function, "statement dropped", "pass", bare=True)
        elif isinstance(node, ast.AugAssign):
            yield self.change(node, function, "statement dropped", "pass", bare=True)
        elif isinstance(node, ast.Return) and node.value and not isinstance(node.value, ast.Constant):
            yield self.change(node.value, function, "return value", "None")
        elif isinstance(node, ast.ExceptHandler):
            yield from self.of_handler(node, function)
        if isinstance(node, (ast.If, ast.While, ast.IfExp)):
            yield self.change(node.test, function, "condition negated", f"not ({self.text(node.test)})")
        if isinstance(node, ast.If):
            yield self.change(node.test, function, "branch dropped", "False")
            yield self.change(node.test, function, "condition dropped", "True")
        if isinstance(node, ast.comprehension):
            for each in node.ifs:
                yield self.change(each, function, "condition dropped", "True")

    def of_handler(self, node: ast.ExceptHandler, function: str) -> Iterator[Mutant]:
        """Yields a handler of an error that hands it on."""
        first, last = node.body[0], node.body[-1]
        if isinstance(first, ast.Raise) and first.exc is None:
            return
        begin, end = self.span(first)[0], self.span(last)[1]
        old = self.source[begin:end]
        gap = "\n" * old.count("\n")
        kind = ast.unparse(node.type) if node.type else ""
        what = f"except {kind}: {shown(old)} -> raise"
        text = f"raise; ({gap})" if gap else "raise"
        self.statement = (first.lineno, last.end_lineno or last.lineno)
        yield self.mutant(function, first.lineno, "handler dropped", what, (begin, end), text)

    def of_expression(self, node: ast.AST, function: str) -> Iterator[Mutant]:
        """Yields changes of an expression."""
        if isinstance(node, ast.Compare):
            for place, operator in enumerate(node.ops):
                for other in COMPARISONS[type(operator)]:
                    changed = copy.deepcopy(node)
                    changed.ops[place] = other()
                    yield self.change(node, function, "comparison", ast.unparse(changed))
        elif isinstance(node, ast.BoolOp):
            changed_op = copy.deepcopy(node)
            changed_op.op = ast.Or() if isinstance(node.op, ast.And) else ast.And()
            yield self.change(node, function, "and, or", ast.unparse(changed_op))
        elif isinstance(node, ast.UnaryOp) and isinstance(node.op, (ast.Not, ast.USub)):
            yield self.change(node, function, "sign dropped", self.text(node.operand))
        elif isinstance(node, ast.BinOp) and type(node.op) in OPERATIONS:
            changed_sum = copy.deepcopy(node)
            changed_sum.op = OPERATIONS[type(node.op)]()
            yield self.change(node, function, "operation", ast.unparse(changed_sum))
        elif isinstance(node, ast.Constant):
            for new in constants(node.value):
                yield self.change(node, function, "constant", new)
        elif isinstance(node, ast.Call):
            yield from self.of_call(node, function)

    def of_call(self, node: ast.Call, function: str) -> Iterator[Mutant]:
        """Yields calls of another function, and with arguments swapped."""
        if isinstance(node.func, ast.Name) and node.func.id in FUNCTIONS:
            yield self.change(node.func, function, "function", FUNCTIONS[node.func.id], bare=True)
        given = node.args
        if ast.unparse(node.func) in SYMMETRIC:
            return
        if len(given) >= 2 and not any(isinstance(each, ast.Starred) for each in given[:2]):
            if ast.unparse(given[0]) != ast.unparse(given[1]):
                changed = copy.deepcopy(node)
                changed.args[:2] = [changed.args[1], changed.args[0]]
                yield self.change(node, function, "arguments swapped", ast.unparse(changed))


def head_of(node: ast.stmt) -> tuple[int, int]:
    """Returns the lines of a statement; of one with a body, those before it."""
    body = getattr(node, "body", None)
    last = body[0].lineno - 1 if body else node.end_lineno or node.lineno
    return node.lineno, max(node.lineno, last)


def constants(value: object) -> list[str]:
    """Returns what a constant is changed to."""
    if isinstance(value, bool):
        return [str(not value)]
    if isinstance(value, int) and value >= 100:  # how much of something: one more or less says nothing
        return [str(value // 2)]
    if isinstance(value, int):
        return [str(value + 1)] + ([str(value - 1)] if value > 1 else [])
    if isinstance(value, float):
        return [repr(value * 2 if value else 1.0)]
    return []


def shown(text: str) -> str:
    """Returns a text on one line, and not more of it than names it."""
    line = " ".join(text.split())
    return line if len(line) <= 72 else f"{line[:34]} ... {line[-33:]}"
