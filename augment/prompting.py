"""Turns templates into chat messages: the shared system text, then the task's own user text."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jinja2

from artefacts.errors import UsageError
from augment.shapes import Message, Messages

BUILT_IN = Path(__file__).parent / "prompts"
SYSTEM = "system.j2"


class Prompts:
    """The templates. A file in the user's folder replaces the built-in one of the same name.

    Every task gets the same system text, and templates about users begin with `history.j2`, so that the prompts of
    one user share their beginning and the engine computes it once.
    """

    def __init__(self, folder: Path | None = None) -> None:
        if folder is not None and not folder.is_dir():
            raise UsageError("the folder of templates does not exist", where=folder)
        folders = [BUILT_IN] if folder is None else [folder, BUILT_IN]
        self._environment = jinja2.Environment(
            loader=jinja2.FileSystemLoader(folders),
            undefined=jinja2.StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            autoescape=False,  # prompts are not HTML; text from data is made safe in augment.text
        )

    def messages(self, template: str, **values: Any) -> Messages:
        """The chat messages of one request. Raises UsageError naming template and line."""
        return (
            Message("system", self._render(SYSTEM, values)),
            Message("user", self._render(template, values)),
        )

    def _render(self, name: str, values: dict[str, Any]) -> str:
        try:
            return self._environment.get_template(name).render(values).strip()
        except jinja2.TemplateSyntaxError as error:
            where = f"{error.filename or name}:{error.lineno}"
            raise UsageError(f"the template is not valid ({error.message})", where=where) from None
        except jinja2.TemplateNotFound as error:
            raise UsageError(f"there is no template {error.name}", where=name) from None
        except jinja2.UndefinedError as error:
            raise UsageError(
                f"the template uses something that is not given to it ({error.message})",
                where=name,
                remedy=f"given are: {', '.join(sorted(values))}",
            ) from None
