"""Instructions: prompts with the answers that a language model is taught to give, one JSON object a line.

Keys: id, task, dataset, user, prompt (chat messages), completion, hint_source, items, targets, history, similar. Users
and items are called what the data's source calls them, so that instructions of several data sets can stand in one file.
Nothing but the standard library is needed to read them: the trainer's environment has little else.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from augrec.artefacts.errors import DataError
from augrec.artefacts.files import atomic_path, parse_json

ROLES = ("system", "user")
NAMED = ("items", "targets", "history", "similar")
"""Keys that hold lists of items; they may be left out."""


@dataclass(frozen=True, slots=True)
class Instruction:
    """One prompt and its answer.

    Args:
        id: names it in messages; unique in a file.
        task: the task whose prompt it is.
        dataset: the name of the data set.
        user: whom it is about.
        prompt: (role, text) of each message, roles system and user.
        completion: the answer as an engine would decode it.
        hint_source: the model whose predictions the prompt may show, trained without the targets; "" for none.
        items: what the prompt asks about.
        targets: those of the items that the user interacted with in training, which no hint was made of.
        history: the user's items that the prompt shows, oldest first.
        similar: the items of a similar user that it shows, the latest first.
    """

    id: str
    task: str
    dataset: str
    user: str
    prompt: tuple[tuple[str, str], ...]
    completion: str
    hint_source: str = ""
    items: tuple[str, ...] = ()
    targets: tuple[str, ...] = ()
    history: tuple[str, ...] = ()
    similar: tuple[str, ...] = ()

    @property
    def messages(self) -> list[dict[str, str]]:
        """The prompt as chat templates take it."""
        return [{"role": role, "content": content} for role, content in self.prompt]


def write_instructions(path: Path, instructions: Iterable[Instruction]) -> int:
    """Writes instructions, atomically; how many."""
    count = 0
    with atomic_path(path) as temporary, temporary.open("w", encoding="utf-8") as out:
        for instruction in instructions:
            line = asdict(instruction) | {"prompt": instruction.messages}
            out.write(json.dumps(line, ensure_ascii=False, separators=(",", ":")) + "\n")
            count += 1
    return count


def read_instructions(path: Path) -> Iterator[Instruction]:
    """The instructions of a file in its order, each read when it is asked for.

    Raises:
        DataError: the file is missing, or a line is no instruction or repeats an id; names the line and the key.
    """
    known: dict[str, int] = {}
    try:
        with path.open(encoding="utf-8") as lines:
            for number, line in enumerate(lines, start=1):
                instruction = _instruction(line, f"{path}, line {number}")
                first = known.setdefault(instruction.id, number)
                if first != number:
                    raise DataError(
                        f"the id {instruction.id!r} is that of line {first} too",
                        where=f"{path}, line {number}",
                        remedy="give every instruction an id of its own",
                    )
                yield instruction
    except FileNotFoundError:
        raise DataError("there is no such file of instructions", where=path, remedy="correct the path") from None
    except UnicodeDecodeError as error:
        raise DataError(f"the file is not UTF-8 ({error.reason})", where=path, remedy=REMEDY) from None


REMEDY = "`augrec instructions CONFIG --out FILE` writes such files; docs/llama4rec.md names the keys"


def _instruction(line: str, where: str) -> Instruction:
    try:
        fields = parse_json(line)
    except ValueError as error:
        raise DataError(f"the line is not JSON ({error})", where=where, remedy=REMEDY) from None
    if not isinstance(fields, dict):
        raise DataError("the line is not a JSON object", where=where, remedy=REMEDY)
    for key in ("id", "task", "dataset", "user", "completion"):
        _require(isinstance(fields.get(key), str) and bool(fields[key]), f"`{key}` must be a text", where)
    _require(isinstance(fields.get("hint_source", ""), str), "`hint_source` must be a text", where)
    for key in NAMED:
        names = fields.get(key, [])
        _require(isinstance(names, list) and all(isinstance(name, str) for name in names),
                 f"`{key}` must be a list of texts", where)  # fmt: skip
    return Instruction(
        **{key: fields[key] for key in ("id", "task", "dataset", "user", "completion")},
        prompt=_prompt(fields.get("prompt"), where),
        hint_source=fields.get("hint_source", ""),
        items=tuple(fields.get("items", ())),
        targets=tuple(fields.get("targets", ())),
        history=tuple(fields.get("history", ())),
        similar=tuple(fields.get("similar", ())),
    )


def _prompt(messages: Any, where: str) -> tuple[tuple[str, str], ...]:
    _require(isinstance(messages, list) and bool(messages), "`prompt` must be a list of messages", where)
    for message in messages:
        fits = isinstance(message, dict) and message.get("role") in ROLES and isinstance(message.get("content"), str)
        _require(fits, f"each message of `prompt` needs `role` ({' or '.join(ROLES)}) and `content`, both texts", where)
    _require(messages[-1]["role"] == "user", "the last message of `prompt` must be the user's", where)
    return tuple((message["role"], message["content"]) for message in messages)


def _require(holds: bool, what: str, where: str) -> None:
    if not holds:
        raise DataError(what, where=where, remedy=REMEDY)
