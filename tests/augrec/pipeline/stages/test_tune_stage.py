"""The stage tune: what it teaches, when it trains anew, what an engine is given of it, and what is refused."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from typer.testing import CliRunner

from augrec.artefacts.errors import AugrecError, DataError, UsageError
from augrec.artefacts.files import read_json
from augrec.artefacts.instructions import read_instructions
from augrec.artefacts.interactions import read_interactions
from augrec.artefacts.loss_curve import read_losses
from augrec.artefacts.token_sequences import read_sequences
from augrec.cli import app
from augrec.pipeline.config.run_config import read_config
from augrec.pipeline.executors.profile import read_profile
from augrec.pipeline.executors.slurm.plan import plan
from augrec.pipeline.executors.slurm.status import collect
from augrec.pipeline.identity.code_identity import code_identity
from augrec.pipeline.identity.import_closure import import_closure
from augrec.pipeline.stages import augment, chain
from augrec.pipeline.stages.base import Run
from tests.kit.chat_folders import write_tokenizer
from tests.kit.fake_trainer import TRAINS, write_environment
from tests.kit.tiny_llama import write_llama
from tests.kit.toy_config import toy_config, write_config
from tests.kit.toy_data import write_toy_data
from tests.kit.toy_run import advance, open_run

pytestmark = pytest.mark.slow

BASE = """
models: {mf: {family: mf_bpr, dim: 4}}
base: {model: mf, folds: 2, negatives: 8}
"""


def content(tmp_path: Path, *patches: str | Mapping[str, Any], body: str = TRAINS) -> dict[str, Any]:
    """A run that teaches a tiny model to rank, by a trainer that trains nothing."""
    data = tmp_path / "data"
    if not data.exists():
        write_toy_data(data)
        write_llama(tmp_path / "llama")
        write_environment(tmp_path / "env", body)
    tune = {
        "model": str(tmp_path / "llama"),
        "python": str(tmp_path / "env" / "bin" / "python"),
        "max_length": 8192,  # bytes are tokens
        "instructions": {"tasks": ["ranking"], "count": 30, "positives": 2, "list_size": 6},
    }
    return toy_config(data, BASE, {"tune": tune}, *patches)


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AUGREC_CACHE", str(tmp_path / "cache"))


def trainings(run: Run) -> int:
    """How often the trainer ran to its end."""
    return len((run.files.tune.root / "trained.log").read_text().splitlines())


def test_it_teaches_what_is_in_training_and_held_out_of_its_fold(tmp_path: Path) -> None:
    run = open_run(tmp_path, content(tmp_path))
    assert [stage.name for stage in chain(run.config)][:4] == ["prepare", "base", "tune", "candidates"]
    said = advance(run, "prepare", "base", "tune")
    assert "30 instructions, 2 steps, loss 2.000 -> 1.000" in said
    made = list(read_instructions(run.files.tune.instructions))
    meta = read_json(run.files.dataset_json)["counts"]
    users, items = meta["users"], meta["items"]
    trained = read_interactions(run.files.interactions, users, items, splits=("train",)).pairs
    names = {"user": _source_ids(run.files.users), "item": _source_ids(run.files.items)}
    known = {(names["user"][user], names["item"][item]) for user, item in trained.tolist()}
    for instruction in made:
        assert {(instruction.user, target) for target in instruction.targets} <= known
        assert not {(instruction.user, item) for item in set(instruction.items) - set(instruction.targets)} & known
        assert instruction.hint_source == "mf"
        order = json.loads(instruction.completion)["order"]
        first = {instruction.items[label - 1] for label in order[: len(instruction.targets)]}
        assert first == set(instruction.targets)
    sequences = list(read_sequences(run.files.tune.tokens))
    assert [each.id for each in sequences] == [each.id for each in made]
    ends = {bytes_of(each.tokens[each.answer : -1]) for each in sequences}
    assert ends == {each.completion for each in made}, "of these bytes, tokens are letters"
    assert len(read_losses(run.files.tune.losses)) == 2


def bytes_of(tokens: tuple[int, ...]) -> str:
    """The text of byte tokens, by the alphabet that `write_tokenizer` numbers them with."""
    from tokenizers import pre_tokenizers

    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    return "".join(letters[token - 3] for token in tokens)


def _source_ids(path: Path) -> list[str]:
    import pyarrow.parquet as pq

    return [str(name) for name in pq.read_table(path)["source_id"].to_pylist()]


def test_it_trains_anew_only_when_what_is_learnt_changes(tmp_path: Path) -> None:
    whole = content(tmp_path)
    run = open_run(tmp_path, whole)
    advance(run, "prepare", "base", "tune")
    assert "skipped" in advance(run, "tune")
    for changes, expected in (
        ({"tune": {"checkpoint_steps": 3}}, 1),
        ({"tune": {"max_length": 8000}}, 1),  # the stage runs, and finds that the same tokens are taught
        ({"tune": {"lora": {"rank": 4}}}, 2),
        ({"tune": {"lora": {"rank": 4}, "instructions": {"count": 20}}}, 3),
    ):
        run = open_run(tmp_path, toy_config(tmp_path / "data", whole, changes))
        advance(run, "tune")
        assert trainings(run) == expected, changes
    assert "tune.instructions.count: 20" in advance(open_run(tmp_path, whole), "tune"), "and says why"


def test_a_training_of_other_code_does_not_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The stage runs again whenever any of its code changed; the training only for what the trainer imports."""
    whole = content(tmp_path)
    advance(open_run(tmp_path, whole), "prepare", "base", "tune")
    for length, identity, expected in ((8001, code_identity, 1), (8002, lambda entries: f"other {entries}", 2)):
        monkeypatch.setattr("augrec.pipeline.stages.tune.code_identity", identity)
        run = open_run(tmp_path, toy_config(tmp_path / "data", whole, {"tune": {"max_length": length}}))
        advance(run, "tune")
        assert trainings(run) == expected
    decides = {"answer_loss", "causal_attention", "lora_product", "number_format", "settings", "trainer"}
    modules = import_closure(("augrec.pipeline.tuning.trainer",)).modules
    assert decides == {name.rpartition(".")[2] for name in modules if name.startswith("augrec.pipeline.tuning.")}


def test_how_far_a_training_came_that_was_broken_off_is_said(tmp_path: Path) -> None:
    body = f"{TRAINS}(folder / 'trained.json').unlink()\nsys.exit(1)\n"
    run = open_run(tmp_path, content(tmp_path, body=body))
    advance(run, "prepare", "base")
    assert {row.stage: row.open for row in collect(run)}["tune"] == ""
    with pytest.raises(AugrecError, match=r"exit status 1(.|\n)*goes on from the last checkpoint"):
        advance(run, "tune")
    rows = {row.stage: row for row in collect(run)}
    assert (rows["tune"].state, rows["tune"].open) == ("open", "step 2 (epoch 1.00), loss 1.000")
    assert rows["candidates"].state == "waiting"


def test_instructions_of_other_runs_are_mixed_in_once(tmp_path: Path) -> None:
    first = open_run(tmp_path, content(tmp_path))
    advance(first, "prepare", "base")
    written = CliRunner().invoke(
        app, ["instructions", str(tmp_path / "toy.yaml"), f"output={first.folder}", "--out", str(tmp_path / "o.jsonl")]
    )
    assert written.exit_code == 0, written.output
    assert "30 instructions" in written.output
    assert not first.files.tune.instructions.exists(), "only where it was told to"
    (tmp_path / "second").mkdir()
    own = {"tune": {"instructions": {"also": [str(tmp_path / "o.jsonl")], "count": 10}}}
    run = open_run(tmp_path / "second", content(tmp_path, own))
    said = advance(run, "prepare", "base", "tune")
    assert len(list(read_instructions(run.files.tune.instructions))) == 30, "the first ten of the others are its own"
    assert "left out: 10 duplicates" in said


def test_an_answer_is_never_cut(tmp_path: Path) -> None:
    other = {"id": "long", "task": "pick", "dataset": "other", "user": "u", "completion": "1"}
    other["prompt"] = [{"role": "user", "content": "?" * 900}]  # type: ignore[assignment]
    (tmp_path / "long.jsonl").write_text(json.dumps(other) + "\n")
    patch = {"tune": {"instructions": {"tasks": None, "also": [str(tmp_path / "long.jsonl")]}, "max_length": 800}}
    run = open_run(tmp_path, content(tmp_path, patch))
    with pytest.raises(DataError, match=r"'long' has 9\d\d tokens and 2 of its answer, and at most 800(.|\n)*at least"):
        advance(run, "prepare", "base", "tune")
    assert not run.files.tune.adapter.exists()


def test_a_model_without_a_chat_template_is_refused(tmp_path: Path) -> None:
    run = open_run(tmp_path, content(tmp_path))
    advance(run, "prepare", "base")
    (write_tokenizer(tmp_path / "llama") / "chat_template.jinja").unlink()
    with pytest.raises(UsageError, match="no chat template"):
        advance(run, "tune")


def test_an_environment_that_is_missing_is_said_before_anything_else_of_it(tmp_path: Path) -> None:
    run = open_run(tmp_path, content(tmp_path, {"tune": {"python": str(tmp_path / "nowhere")}}))
    advance(run, "prepare", "base")
    with pytest.raises(UsageError, match=r"(.|\n)*make tune-env"):
        advance(run, "tune")
    assert not run.files.tune.instructions.exists(), "nothing is made for a training that cannot begin"


def test_a_source_is_asked_with_what_was_tuned_and_knows_it_by_its_content(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(augment, "source_model", lambda source: SimpleNamespace(sha256="weights", path=tmp_path))
    model = str(tmp_path / "llama")
    engines = {"tuned": {"kind": "vllm", "model": model, "tuned": True}, "plain": {"kind": "vllm", "model": model}}
    generation = {"generation": {"sources": {name: {"engine": engine} for name, engine in engines.items()}}}
    embedding = {"embedding": {"model": "m"}}
    run = open_run(tmp_path, content(tmp_path, generation, embedding))
    advance(run, "prepare", "base", "tune")
    source = augment.answering_source(run, "tuned")
    assert source.engine.model_dump()["lora"] == run.files.tune.adapter
    assert augment.answering_source(run, "plain").engine == run.config.generation.sources["plain"].engine  # type: ignore[union-attr]
    before = augment.Augment().section(run)
    assert before["files"]["tuned"].keys() == {"adapter"}
    assert before["files"]["plain"] == {}
    (run.files.tune.adapter / "adapter_model.safetensors").write_bytes(b"others")
    assert augment.Augment().section(run)["files"]["tuned"] != before["files"]["tuned"]


@pytest.mark.parametrize("patch", [{"method": "full"}, {"merge": True}])
def test_whole_weights_are_served_as_a_model_of_their_own(tmp_path: Path, patch: dict[str, object]) -> None:
    model = str(tmp_path / "llama")
    generation = {"generation": {"sources": {"tuned": {"engine": {"kind": "vllm", "model": model, "tuned": True}}}}}
    run = open_run(tmp_path, content(tmp_path, generation, {"tune": patch, "embedding": {"model": "m"}}))
    engine: Any = augment.answering_source(run, "tuned").engine
    assert (engine.lora, engine.model) == (None, str(run.files.tune.model))
    assert run.config.tune is not None
    assert run.config.tune.highest_rate == (2e-5 if patch.get("method") == "full" else 2e-4)


@pytest.mark.parametrize(
    ("patch", "complaint"),
    [
        ("base: null", "add a section `base`"),
        ("tune: {method: full, merge: true}", "trains no adapter that could be merged"),
        ("tune: {batch_size: 6}", "must be a multiple of micro_batch_size"),
        ("tune: {instructions: {tasks: [edges]}}", "'edges' is no task with an answer"),
        ("generation: {sources: {a: {engine: {kind: vllm, model: other, tuned: true}}}}", "'other' is not what"),
        ("tune: null\ngeneration: {sources: {a: {engine: {kind: vllm, model: m, tuned: true}}}}", "nothing is tuned"),
        ("generation: {sources: {a: {engine: {kind: vllm, model: m, tuned: true, lora: x}}}}", "lora and tuned"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused(tmp_path: Path, patch: str, complaint: str) -> None:
    path = write_config(tmp_path / "toy.yaml", content(tmp_path, "embedding: {model: m}", patch))
    with pytest.raises(UsageError, match=complaint):
        read_config(path)


def test_a_cluster_runs_it_as_one_job_with_the_gpus_that_the_profile_gives(tmp_path: Path) -> None:
    run = open_run(tmp_path, content(tmp_path))
    profile = tmp_path / "profile.toml"
    profile.write_text("[stages.tune]\ngpus = 4\ntime = '08:00:00'\n")
    jobs = {job.name: job for level in plan(run, read_profile(profile), 100) for job in level}
    assert jobs["tune"].tasks == [[["tune"]]]
    assert jobs["tune"].resources.gpus == 4
    assert jobs["prepare"].resources.gpus is None
