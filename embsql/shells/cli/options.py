"""The options of a command as the command line has them."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
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


class Command(click.Command):
    """A command with the options of a class of `command_options`, behind its own.

    They are read where the command is asked for: to list all commands needs none.
    """

    def __init__(self, *given: Any, options: type[Any], **named: Any) -> None:
        super().__init__(*given, **named)
        self._options = options

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        """What it takes, its help last."""
        own = len(self.params)
        rest = super().get_params(ctx)
        options = map(_as_option, declared(self._options))
        return [*rest[:own], *options, *rest[own:]]


@cache
def _as_option(option: Option) -> click.Option:
    """One option with its reason as help; its value stays text, which `options.make` reads."""
    name, help_ = option.name.replace("_", "-"), _help(option)
    if option.kind is bool:
        switch = f"--{name}/--no-{name}" if option.default else f"--{name}"
        return click.Option(
            [switch, option.name], is_flag=True, default=None, help=help_
        )
    metavar = (
        f"[{'|'.join(option.choices)}]" if option.choices else METAVARS[option.kind]
    )
    return click.Option([f"--{name}", option.name], metavar=metavar, help=help_)


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
