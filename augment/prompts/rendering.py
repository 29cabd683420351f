"""Turns templates into chat messages: the shared system text, then the task's own user text."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Hashable
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import jinja2
from jinja2.exceptions import SecurityError

from augment.messages import Message, Messages
from augment.prompts.safe_text import as_json
from augment.prompts.sandbox import Sandbox
from augrec.artefacts.errors import UsageError
from augrec.artefacts.files import sha256_file

BUILT_IN = Path(__file__).parent
SYSTEM = "system.j2"
LINE = "line.j2"
LINES_KEPT = 1 << 16
INSIDE = "a template includes only files of its own folder, by their name"
REMEDY = "templates read the values they are given; what they may call is listed in augment/prompts/sandbox.py"


def line_of(environment: jinja2.Environment, item: Any) -> str:
    """An item as the macro of `line.j2` writes it; the filter `line`."""
    return str(environment.get_template(LINE).module.line(item))  # type: ignore[attr-defined]


def replaced_templates(folder: Path | None) -> dict[str, str]:
    """The sha256 of every file in the folder of templates by its name there: a template may include any of them."""
    if folder is None:
        return {}
    _require_folder(folder)
    return {
        path.relative_to(folder).as_posix(): sha256_file(path) for path in sorted(folder.rglob("*")) if path.is_file()
    }


def _require_folder(folder: Path) -> None:
    if not folder.is_dir():
        raise UsageError("the folder of templates does not exist", where=folder)


class Prompts:
    """The templates. A file in the user's folder replaces the built-in one of the same name.

    Every task gets the same system text, and templates about users begin with `history.j2`, so that the prompts of
    one user share their beginning and the engine computes it once. Templates of a user run in a sandbox.
    """

    def __init__(self, folder: Path | None = None) -> None:
        if folder is not None:
            _require_folder(folder)
        self._folders = [BUILT_IN] if folder is None else [folder, BUILT_IN]
        loader = jinja2.FileSystemLoader(self._folders)
        # Prompts are not HTML: nothing is escaped. Text from data is made safe in augment.prompts.safe_text.
        self._render = self._trusted(loader) if folder is None else self._bounded(loader)

    def messages(self, template: str, **values: Any) -> Messages:
        """The chat messages of one request. Raises UsageError naming template and line."""
        return (
            Message("system", self._text(SYSTEM, values)),
            Message("user", self._text(template, values)),
        )

    @staticmethod
    def _trusted(loader: jinja2.BaseLoader) -> Callable[[str, dict[str, Any]], str]:
        environment = jinja2.Environment(
            loader=loader,
            undefined=jinja2.StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            autoescape=False,
            auto_reload=False,  # looking at the files for every prompt costs as much as a prompt
        )
        write = partial(line_of, environment)
        kept = lru_cache(maxsize=LINES_KEPT)(write)  # an item stands in many prompts
        environment.filters["json"] = as_json
        environment.filters["line"] = lambda item: kept(item) if isinstance(item, Hashable) else write(item)
        return lambda name, values: environment.get_template(name).render(values)

    @staticmethod
    def _bounded(loader: jinja2.BaseLoader) -> Callable[[str, dict[str, Any]], str]:
        sandbox = Sandbox(loader)
        sandbox.filters["line"] = partial(line_of, sandbox)
        return sandbox.generate_text

    def _text(self, name: str, values: dict[str, Any]) -> str:
        try:
            return self._render(name, values).strip()
        except jinja2.TemplateSyntaxError as error:
            where = f"{error.filename or name}:{error.lineno}"
            raise UsageError(f"the template is not valid ({error.message})", where=where) from None
        except jinja2.TemplateNotFound as error:
            where = self._place(error, name)
            raise UsageError(f"there is no template {error.name!a}", where=where, remedy=INSIDE) from None
        except jinja2.UndefinedError as error:
            raise UsageError(
                f"the template uses something that is not given to it ({error.message})",
                where=self._place(error, name),
                remedy=f"given are: {', '.join(sorted(values))}",
            ) from None
        except SecurityError as error:
            what = f"the template is refused: {error.message}"
            raise UsageError(what, where=self._place(error, name), remedy=REMEDY) from None
        except (
            jinja2.TemplateError,
            ArithmeticError,
            LookupError,
            TypeError,
            ValueError,
            AttributeError,
            RecursionError,
        ) as error:
            what = f"the template cannot be filled in ({type(error).__name__}: {error!s:.200})"
            raise UsageError(what, where=self._place(error, name)) from None

    def _place(self, error: BaseException, name: str) -> str:
        """The line of the template that an error came from, in the file that is used of that name."""
        folders = {str(folder) for folder in self._folders}
        frames = traceback.extract_tb(error.__traceback__)
        places = [(Path(frame.filename), frame.lineno) for frame in frames]
        lines = [f"{path}:{line}" for path, line in places if str(path.parent) in folders and path.suffix != ".py"]
        return lines[-1] if lines else name
