"""How some pieces of a stage are named on the command line, by a person or by the script of a job."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from augrec.artefacts.errors import UsageError
from augrec.pipeline.stages.ranges import format_ranges, parse_ranges

if TYPE_CHECKING:
    from augrec.pipeline.stages.base import Piece


@dataclass(frozen=True)
class CommandOption:
    """An option of a stage's command that takes a text."""

    name: str
    """As it is typed, e.g. `--only`."""
    metavar: str
    help: str

    @property
    def key(self) -> str:
        """The name of the parameter behind it."""
        return self.name.removeprefix("--").replace("-", "_")


class Selection(ABC):
    """Names pieces, and finds those that are named."""

    @property
    @abstractmethod
    def options(self) -> tuple[CommandOption, ...]:
        """The options of the command; the first one says that not the whole stage is meant."""

    @abstractmethod
    def words(self, pieces: Sequence[Piece]) -> list[str]:
        """What names some pieces, of one group where the stage has jobs for each group."""

    @abstractmethod
    def chosen(self, pieces: Sequence[Piece], values: Mapping[str, str | None]) -> list[Piece]:
        """The pieces that the options' values name.

        Raises:
            UsageError: a piece that is named is not there.
        """


class ByName(Selection):
    """Pieces by their names, with commas between them.

    Args:
        option: as it is typed.
        what: one piece is, for messages.
        help: of the option.
    """

    def __init__(self, option: str, what: str, help: str) -> None:
        self._option, self._what = CommandOption(option, "LIST", help), what

    @property
    def options(self) -> tuple[CommandOption, ...]:
        """See `Selection.options`: one, which takes names."""
        return (self._option,)

    def words(self, pieces: Sequence[Piece]) -> list[str]:
        """See `Selection.words`."""
        return [self._option.name, ",".join(piece.name for piece in pieces)]

    def chosen(self, pieces: Sequence[Piece], values: Mapping[str, str | None]) -> list[Piece]:
        """See `Selection.chosen`."""
        names = [name.strip() for name in (values.get(self._option.key) or "").split(",")]
        return _named(pieces, names, self._what)


class ByGroup(Selection):
    """All pieces of one group, or of it those of some numbers.

    Args:
        option: names the group.
        what: a group is, for messages.
        numbers: narrows the choice to some numbers; None where a group is one piece.
        number: one piece of a group is, for messages.
    """

    def __init__(
        self, option: CommandOption, what: str, numbers: CommandOption | None = None, number: str = "piece"
    ) -> None:
        self._option, self._what, self._numbers, self._number = option, what, numbers, number

    @property
    def options(self) -> tuple[CommandOption, ...]:
        """See `Selection.options`: one takes a group; another, where pieces have numbers, ranges of them."""
        return (self._option,) if self._numbers is None else (self._option, self._numbers)

    def words(self, pieces: Sequence[Piece]) -> list[str]:
        """See `Selection.words`; all pieces are of one group."""
        words = [self._option.name, pieces[0].group]
        if self._numbers is not None:
            words += [self._numbers.name, format_ranges(piece.number for piece in pieces)]
        return words

    def chosen(self, pieces: Sequence[Piece], values: Mapping[str, str | None]) -> list[Piece]:
        """See `Selection.chosen`."""
        group = values.get(self._option.key) or ""
        own = [piece for piece in pieces if piece.group == group]
        if not own:
            known = ", ".join(dict.fromkeys(piece.group for piece in pieces)) or "there is none"
            raise UsageError(f"this run has no {self._what} '{group}'", remedy=f"one of {known}")
        wanted = None if self._numbers is None else values.get(self._numbers.key)
        if wanted is None:
            return own
        numbers, known_numbers = parse_ranges(wanted), {piece.number for piece in own}
        strange = [number for number in numbers if number not in known_numbers]
        if strange:
            raise UsageError(
                f"{group} has no {self._number} {format_ranges(strange)}",
                remedy=f"its {self._number}s: {format_ranges(known_numbers)}",
            )
        return [piece for piece in own if piece.number in numbers]


def _named(pieces: Sequence[Piece], names: Iterable[str], what: str) -> list[Piece]:
    known = {piece.name: piece for piece in pieces}
    wanted = list(dict.fromkeys(names))
    strange = [name for name in wanted if name not in known]
    if strange:
        listed = ", ".join(known) if len(known) <= 20 else f"{', '.join(list(known)[:20])}, ..."
        raise UsageError(f"this run has no {what} '{strange[0]}'", remedy=f"one of {listed}")
    return [known[name] for name in wanted]
