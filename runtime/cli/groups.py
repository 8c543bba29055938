"""How a group of commands is made, so that all behave alike."""

from __future__ import annotations

import typer


def group(help_text: str) -> typer.Typer:
    """A command group whose bare name prints its help."""
    return typer.Typer(
        help=help_text,
        no_args_is_help=True,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        add_completion=False,
    )
