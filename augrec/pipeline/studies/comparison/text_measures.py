"""Everything that is measured of the texts themselves: what was read once is handed to each measure."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from itertools import combinations
from typing import Any

import numpy as np
import pyarrow as pa

from augrec.artefacts.errors import UsageError
from augrec.artefacts.interactions import SPLITS, Interactions, read_interactions
from augrec.artefacts.matrices import matrix_of, read_field
from augrec.artefacts.named import named_matrices
from augrec.artefacts.run_folder import RunFolder
from augrec.artefacts.side_tables import count_rows, read_side_table
from augrec.artefacts.tasks import Edges, Entry, Text, read_card
from augrec.artefacts.treatments import AS_IS, treatment
from augrec.pipeline.config.run_config import Config
from augrec.pipeline.probes.suggested_edges import judge_edges
from augrec.pipeline.probes.text_alignment import probe_texts
from augrec.pipeline.studies.comparison.options import Compare
from augrec.report.measures.agreement import Agreement, agreement
from augrec.report.measures.alignment import Alignment
from augrec.report.measures.consistency import Consistency, consistency
from augrec.report.measures.coverage import Coverage, coverage
from augrec.report.measures.edge_worth import EdgeWorth
from augrec.report.measures.intrinsic import Intrinsic, intrinsic
from augrec.report.measures.leak import Leak, leak
from augrec.report.measures.memorisation import Memorisation, memorisation
from augrec.report.measures.position import Position, position
from augrec.report.measures.source_records import SourceRecords
from augrec.report.measures.tf_idf import tf_idf
from embed.texts import profile_text

OWN_TEXT = "data/text"
NOT_TEXT = ("item", "source_id", "year")


class TextMeasures:
    """The records and vectors of a run, as the measures want them.

    Args:
        compare: the comparison's options.
        config: its run config.
        run: the run folder.
    """

    def __init__(self, compare: Compare, config: Config, run: RunFolder) -> None:
        self._compare, self._run = compare, run
        self._columns = config.embedding.columns if config.embedding else None
        self._lexical = config.embedding is not None and config.embedding.lexical
        sources = config.generation.sources if config.generation else {}
        self.records: dict[tuple[str, str], SourceRecords] = {
            (name, task): SourceRecords.read(run, name, task)
            for name, source in sources.items()
            for task in source.tasks
        }
        self._cards = {(source, task): read_card(run.source(source).task(task).card) for source, task in self.records}

    def of(self, task: str) -> dict[str, SourceRecords]:
        """The records of one task by source."""
        return {source: records for (source, name), records in self.records.items() if name == task}

    def profiles(self) -> dict[str, SourceRecords]:
        """The first text about users of each source that writes one."""
        by_source: dict[str, SourceRecords] = {}
        for (source, task), records in self.records.items():
            if self._is_profile(source, task):
                by_source.setdefault(source, records)
        return by_source

    def _is_profile(self, source: str, task: str) -> bool:
        card = self._cards[source, task]
        return card.about == "user" and isinstance(card.gives, Text)

    def _gives_edges(self, source: str, task: str) -> bool:
        return isinstance(self._cards[source, task].gives, Edges)

    def profiled(self, config: Config) -> np.ndarray | None:
        """The users that every source was asked about; None where that is everybody."""
        sources = config.generation.sources if config.generation else {}
        partial = [r.answered() for name, r in self.profiles().items() if sources[name].users is not None]
        if not partial:
            return None
        both = partial[0]
        for users in partial[1:]:
            both = np.intersect1d(both, users)
        return both

    def profiles_by_arm(self) -> dict[str, SourceRecords]:
        """Arm -> the profiles that it uses as they are."""
        profiles = self.profiles()
        return {
            name: profiles[arm.source]
            for name, arm in self._compare.arms.items()
            if arm.source in profiles
            and arm.asked is None
            and treatment(arm.model_dump(), profiles[arm.source].task) == AS_IS
        }

    def share(self, source: str, users: np.ndarray) -> float:
        """The share of a source's tokens that it read and wrote about some users (bool [n_users]), and all of those
        about items; of its records, where it counted no tokens."""
        of_users = of_all = 0.0
        for (name, task), records in self.records.items():
            if name != source:
                continue
            counts = [records.column(column) for column in ("prompt_tokens", "completion_tokens")]
            tokens = np.array([[float(value or 0) for value in column] for column in counts]).sum(axis=0)
            if not tokens.any():
                tokens = np.ones(len(records))
            about_users = self._cards[name, task].about == "user"
            of_users += float(tokens[users[records.entities]].sum() if about_users else tokens.sum())
            of_all += float(tokens.sum())
        return of_users / of_all if of_all else 1.0

    def intrinsic(self) -> tuple[Intrinsic, ...]:
        """The form of every source's answers to every task."""
        return tuple(intrinsic(records) for records in self.records.values())

    def agreement(self) -> tuple[Agreement, ...]:
        """Of every pair of sources of a task."""
        tasks = dict.fromkeys(task for _, task in self.records)
        return tuple(
            agreement(a, b, self._vectors(a), self._vectors(b))
            for task in tasks
            for a, b in combinations(self.of(task).values(), 2)
        )

    def consistency(self) -> tuple[Consistency, ...]:
        """Of the profiles of each source; none where the data or the profiles name no genres."""
        if self.histories is None:
            return ()
        fits = (consistency(records, self.histories) for records in self.profiles().values())
        return tuple(fit for fit in fits if fit is not None)

    def position(self) -> tuple[Position, ...]:
        """Of the edges of each source."""
        return tuple(position(records) for key, records in self.records.items() if self._gives_edges(*key))

    def leak(self) -> tuple[Leak, ...]:
        """Of the profiles of each source, by the vectors of the items' own text, or by TF-IDF where there are none."""
        items = self._matrix(self._compare.item_vectors or OWN_TEXT)
        if items is None and self._compare.item_vectors is not None:
            raise UsageError(
                f"item_vectors: the run has no matrix {self._compare.item_vectors}",
                where=self._run.embed,
                remedy="leave it out, or name one of: " + ", ".join(self._matrices()),
            )
        checks = []
        for source, records in self.profiles().items():
            vectors = self._vectors(records)
            if items is not None and vectors is not None:
                checks.append(leak(source, vectors, items, self._pairs, shown=records.shown))
            elif self._item_texts is not None:
                mine, theirs = tf_idf(self._profile_texts(records), self._item_texts)
                checks.append(leak(source, mine, theirs, self._pairs, shown=records.shown, items_by="tf-idf"))
        return tuple(checks)

    def alignment(self) -> tuple[Alignment, ...]:
        """Of the items' own text and of every source's texts: whether they belong to their ids."""
        return probe_texts(self._run, self._asked, self._pairs["train"], columns=self._columns, **self._sizes)

    def edge_worth(self) -> tuple[EdgeWorth, ...]:
        """Of every source of edges, by validation."""
        return judge_edges(self._run, self._asked, self._pairs["train"], self._pairs["valid"], **self._sizes)

    @property
    def _asked(self) -> dict[str, list[str]]:
        """source -> its tasks."""
        return {source: [task for of, task in self.records if of == source] for source, _ in self.records}

    @property
    def _sizes(self) -> dict[str, int]:
        return {"n_users": self.n_users, "n_items": self._items.num_rows}

    def memorisation(self) -> tuple[Memorisation, ...]:
        """Of each pair, and each text about users and kind of edges that both sources have."""
        tasks = dict.fromkeys(
            task
            for wanted in (self._is_profile, self._gives_edges)
            for source, task in self.records
            if wanted(source, task)
        )
        return tuple(
            memorisation(named, hidden, self._vectors(named), self._vectors(hidden), self.histories)
            for pair in self._compare.memorisation
            for task in tasks
            if (named := self.records.get((pair.named, task))) and (hidden := self.records.get((pair.anonymous, task)))
        )

    def coverage(self) -> tuple[Coverage, ...]:
        """Of every source that was asked for entries of the catalogue."""
        names = [name for name in ("title", "year", "genres") if name in self._items.column_names]
        catalogue = {name: self._items[name].to_pylist() for name in names}
        asked = [
            (records, gives)
            for key, records in self.records.items()
            if isinstance(gives := self._cards[key].gives, Entry)
        ]
        return tuple(one for records, gives in asked if (one := coverage(records, catalogue, gives)) is not None)

    @cached_property
    def histories(self) -> dict[int, list[list[str]]] | None:
        """user -> the genres of each training item; None where items have no genres."""
        if "genres" not in self._items.column_names:
            return None
        genres = [list(entry or ()) for entry in self._items["genres"].to_pylist()]
        histories: dict[int, list[list[str]]] = {}
        for user, item in self._pairs["train"].tolist():
            histories.setdefault(user, []).append(genres[item])
        return histories

    @cached_property
    def _items(self) -> pa.Table:
        return read_side_table(self._run.items, "item")

    @cached_property
    def n_users(self) -> int:
        """Users of the data set."""
        return count_rows(self._run.users)

    def train_counts(self) -> np.ndarray:
        """int64 [n_users], training interactions of every user."""
        return np.bincount(self._pairs["train"][:, 0], minlength=self.n_users)

    @cached_property
    def interactions(self) -> Interactions:
        """Those of every split, with their times."""
        return read_interactions(self._run.interactions, self.n_users, self._items.num_rows, times=True)

    @cached_property
    def _pairs(self) -> dict[str, np.ndarray]:
        """split -> int64 [m, 2] of (user, item)."""
        return {name: self.interactions.of(name) for name in SPLITS}

    @cached_property
    def _item_texts(self) -> list[str] | None:
        """What the data says of every item, genres included; None where it says nothing."""
        columns = [name for name in self._items.column_names if name not in NOT_TEXT]
        texts = [""] * self._items.num_rows
        for name in columns:
            for row, value in enumerate(self._items[name].to_pylist()):
                parts = value if isinstance(value, list) else [value]
                texts[row] += " ".join(["", *(part for part in parts if isinstance(part, str))])
        return texts if any(text.strip() for text in texts) else None

    def _profile_texts(self, records: SourceRecords) -> list[str]:
        """A text for every user; empty without an answer."""
        answers = (records.answers_about(user) for user in range(self.n_users))
        return [" ".join(filter(None, map(profile_text, several))) for several in answers]

    def _vectors(self, records: SourceRecords) -> np.ndarray | None:
        """Of a task that gives a text, in a space that all texts share; None without. Where words are weighed, the axes
        of every matrix are its own words."""
        text = isinstance(self._cards[records.source, records.task].gives, Text)
        return self._matrix(f"{records.source}/{records.task}") if text and not self._lexical else None

    def _matrix(self, name: str) -> np.ndarray | None:
        """float32 [n, d], missing rows zero; None where there is no such matrix."""
        if name not in self._matrices() or not matrix_of(self._run.embed / name).exists():
            return None
        values, about = read_field(self._run.embed / name)
        values = np.array(values, dtype=np.float32)
        values[np.asarray(about["missing"], dtype=np.int64)] = 0.0
        return values

    def _matrices(self) -> list[str]:
        root = self._run.embed
        return [path.relative_to(root).with_suffix("").as_posix() for path in named_matrices(self._run.root)]


def local_tokenizer(config: Config) -> Callable[[str], int] | None:
    """Counts tokens with the tokenizer of the run's first local LLM; None where it has none."""
    from augrec.pipeline.weights.resolve import resolve

    for source in (config.generation.sources if config.generation else {}).values():
        engine: Any = source.engine
        if engine.loads_weights:
            from transformers import AutoTokenizer

            folder = engine.tokenizer or resolve(engine.model).path
            tokenizer = AutoTokenizer.from_pretrained(str(folder), local_files_only=True)
            return lambda text: len(tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"])
    return None
