"""The options of a command as the command line has them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import click

from embsql.options import Option, declared

METAVARS = {
    int: "INTEGER",
    float: "FLOAT",
    str: "TEXT",
    tuple: "INTEGER,...",
    object: "TEXT",
}

Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]


def with_options(cls: type[Any]) -> Decorator:
    """The options of a command as the command line has them.

    Those not given are left to their defaults.
    """

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        for option in reversed(declared(cls)):
            function = _as_option(option)(function)
        return function

    return decorate


def _as_option(option: Option) -> Decorator:
    """One option with its reason as help; its value stays text, which `options.make` reads."""
    name, help_ = option.name.replace("_", "-"), _help(option)
    if option.kind is bool:
        switch = f"--{name}/--no-{name}" if option.default else f"--{name}"
        return click.option(switch, option.name, is_flag=True, default=None, help=help_)
    metavar = (
        f"[{'|'.join(option.choices)}]" if option.choices else METAVARS[option.kind]
    )
    return click.option(f"--{name}", option.name, metavar=metavar, help=help_)


def _help(option: Option) -> str:
    """The reason as a sentence, and the default unless the reason tells what none means."""
    text = f"{option.reason[0].upper()}{option.reason[1:]}."
    if option.kind is bool or option.default is None:
        return text
    default = (
        ",".join(map(str, option.default)) if option.kind is tuple else option.default
    )
    return f"{text}  [default: {default}]"


def given_options(values: Mapping[str, Any]) -> dict[str, Any]:
    """The options that were given."""
    return {name: value for name, value in values.items() if value is not None}
