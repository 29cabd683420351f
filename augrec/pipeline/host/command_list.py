"""What `--help` says of commands: whole sentences in lines, where click cuts each to what is left of one line."""

from __future__ import annotations

from typing import Any

from typer.core import TyperGroup

LONGEST = 400
"""Letters of a sentence; none is as long."""


class CommandList(TyperGroup):
    """A group whose help has every command with its first sentence, in the order in which they were added."""

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """See `click.Group.format_commands`; typer 0.16 hands over click's classes, later ones copies of their own."""
        commands = ((name, self.get_command(ctx, name)) for name in self.list_commands(ctx))
        rows = [(name, one.get_short_help_str(LONGEST)) for name, one in commands if one and not one.hidden]
        with formatter.section("Commands"):
            formatter.write_dl(rows)
