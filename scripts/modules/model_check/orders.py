"""The memory orders of the shipped source as macros for models in C: ORDER_<edge>_<function>_<operation>."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Iterator

from common.failure import Failure
from model_check.source import IMPL, USE, declared_edges

# Edges that a function gets as its parameter `e`.
BY_PARAMETER = ("slot_birth", "slot_death")
OPERATIONS = {
    "load": "load",
    "store": "store",
    "exchange": "exchange",
    "fetch_add": "fetch_add",
    "compare_exchange_strong": "cas",
    "compare_exchange_weak": "cas",
}
CALL = re.compile(rf"\b({'|'.join(OPERATIONS)})\(")
# What opens a function: a name, its parameters, and what may stand between them and the brace.
FUNCTION = re.compile(
    r"(~?\w+)\((?:[^()]|\([^()]*\))*\)\s*(?:const|noexcept|\s)*(?:->\s*\w+\s*)?"
    r"(?::\s[^;{}]*(?:\{[^{}]*\})?[^;{}]*)?\{"
)
NO_FUNCTIONS = {"if", "for", "while", "switch", "catch", "return"}
C_ORDERS = {
    "acquire": "memory_order_acquire",
    "release": "memory_order_release",
    "acq_rel": "memory_order_acq_rel",
    "light_fence": "memory_order_seq_cst",
    "heavy_fence": "memory_order_seq_cst",
}
# One step weaker.
WEAKER = {
    "acquire": ("relaxed",),
    "release": ("relaxed",),
    "acq_rel": ("acquire", "release"),
    "light_fence": ("nothing",),
    "heavy_fence": ("nothing",),
}
C_WEAKER = {"nothing": "memory_order_relaxed"}  # a fence that is none


class NoSuchOrder(Failure):
    """The source is not as this file reads it."""


@dataclass(frozen=True)
class Order:
    """A place of the source that names an order."""

    edge: str
    file: str
    function: str
    operation: str  # as in the ledger; with :2 for a function's second one
    kind: str  # acquire, release, acq_rel, light_fence, heavy_fence

    @property
    def place(self) -> str:
        """What the ledger calls it."""
        return f"{self.edge}:{self.file}:{self.function}:{self.operation}"

    @property
    def macro(self) -> str:
        """What a model calls it."""
        function = self.function.replace("~", "end_of_")
        return f"ORDER_{self.edge}_{function}_{re.sub('[:-]', '_', self.operation)}"

    @property
    def value(self) -> str:
        """Its order in C."""
        return C_ORDERS[self.kind]

    @property
    def weaker(self) -> tuple[str, ...]:
        """The orders that are one step weaker."""
        return WEAKER[self.kind]


def flag(order: Order, weaker: str) -> str:
    """Returns the compiler's flag that gives a model this order in place of the source's."""
    return f"-D{order.macro}={C_WEAKER.get(weaker, f'memory_order_{weaker}')}"


def blank_comments(text: str) -> str:
    """Returns the text without comments and preprocessor lines, each character where it was."""
    return re.sub(r"//[^\n]*|^#[^\n]*", lambda found: " " * len(found[0]), text, flags=re.MULTILINE)


def function_at(code: str, at: int) -> str:
    """Returns the name of the innermost named function around a place."""
    depth = 0
    for i in range(at, -1, -1):
        if code[i] == "}":
            depth += 1
        elif code[i] == "{":
            if depth:
                depth -= 1
                continue
            begin = max(code.rfind(";", 0, i), code.rfind("}", 0, i), code.rfind("{", 0, i)) + 1
            while True:  # initialisers of members have braces of their own
                names = [each for each in FUNCTION.finditer(code, begin, i + 1) if each.end() == i + 1]
                if names or not re.match(r"\s*[,)]", code[begin:]):
                    break
                begin = max(code.rfind(c, 0, begin - 1) for c in ";}{") + 1
            found = next((each[1] for each in names if each[1] not in NO_FUNCTIONS), "")
            if found:
                return found
    raise NoSuchOrder("an order in no function")


def orders_of(path: Path) -> Iterator[Order]:
    """Yields the orders that a header names."""
    code = blank_comments(path.read_text())
    met: dict[str, int] = {}
    for use in USE.finditer(code):
        kind = use[1]
        function = function_at(code, use.start())
        operation = "fence"
        if not kind.endswith("_fence"):
            call = None
            for call in CALL.finditer(code, max(0, use.start() - 300), use.start()):
                pass
            if call is None:
                raise NoSuchOrder(f"{path.name}: {use[0]} is no order of an operation")
            operation = OPERATIONS[call[1]]
            if operation == "cas" and "B::" in code[call.end() : use.start()]:
                operation = "cas-failure"
        for edge in [use[2]] if use[2] else BY_PARAMETER:
            key = f"{edge}:{function}:{operation}"
            met[key] = met.get(key, 0) + 1
            yield Order(edge, path.name, function, operation + (f":{met[key]}" if met[key] > 1 else ""), kind)


def read_orders() -> dict[str, Order]:
    """Returns every named order of the shipped source, by macro. Raises NoSuchOrder."""
    edges = declared_edges()
    orders: dict[str, Order] = {}
    for path in sorted(IMPL.rglob("*.hpp")):
        if path.parent.name == "backend":
            continue
        for order in orders_of(path):
            if order.edge not in edges:
                raise NoSuchOrder(f"{order.place}: no such edge in edges.hpp")
            if order.macro in orders:
                raise NoSuchOrder(f"{order.place} and {orders[order.macro].place} have one name")
            orders[order.macro] = order
    return orders


def header(orders: dict[str, Order]) -> str:
    """Returns a C header that defines each order as the source has it, unless a flag has done so before."""
    lines = [
        "// Generated by scripts/model_check --genmc from impl/hotindex: the orders of the shipped source.",
        "#pragma once",
    ]
    for macro, order in orders.items():
        lines += [f"#ifndef {macro}", f"#define {macro} {order.value} // {order.place}", "#endif"]
    return "\n".join(lines) + "\n"
