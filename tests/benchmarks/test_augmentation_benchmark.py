"""The generation benchmark's own parts: orders, chunks, turns, commands, tables. No engine runs here."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
import yaml

from augment.engines.vllm.options import VllmOptions
from augment.messages import Control, Draft, Message, Request, Sampling
from augment.tasks.edges import edge_answer
from augrec.artefacts.errors import AugrecError
from augrec.pipeline.config.run_config import read_config
from benchmarks import augmentation, augmentation_around, augmentation_commands, augmentation_inside
from benchmarks.augmentation_bare import result
from benchmarks.augmentation_commands import BARE, DATATROVE, OURS, RUN_BATCH, Compared
from benchmarks.augmentation_sharing import Shared, computed
from benchmarks.augmentation_turns import Spent, in_turns, median, ratio
from benchmarks.augmentation_work import DEMO, SOURCE, chunks, config_of, instruction_first, task_major, valid_share

HISTORY = "Movies a person liked:\n- Solaris\n- Stalker"


def request(user: int, task: str) -> Request:
    text = f"{HISTORY} {user}\n\nDo {task}.\n\nAs JSON."
    messages = (Message("system", "You know movies."), Message("user", text))
    answer = edge_answer(3)
    draft = Draft(user, messages, answer, Control(lambda: {}, answer))
    return Request(f"{task}-{user}", task, draft, Sampling(), seed=user)


@pytest.fixture
def requests() -> list[Request]:
    return [request(user, task) for user in range(3) for task in ("edges", "user_profile")]


def test_instructions_move_to_the_front_and_nothing_is_lost(requests: list[Request]) -> None:
    for asked in requests:
        turned = instruction_first(asked)
        text = turned.draft.messages[1].content
        assert text == f"Do {asked.task}.\n\nAs JSON.\n\n{HISTORY} {asked.draft.entity}"
        assert turned.draft.messages[0] == asked.draft.messages[0]
        assert (turned.name, turned.seed, turned.draft.answer) == (asked.name, asked.seed, asked.draft.answer)


def test_task_by_task_keeps_the_order_of_users(requests: list[Request]) -> None:
    found = [(asked.task, asked.draft.entity) for asked in task_major(requests)]
    assert found == [("edges", 0), ("edges", 1), ("edges", 2), *(("user_profile", user) for user in range(3))]


def test_chunks_cover_everything_once() -> None:
    assert [list(part) for part in chunks(range(7), 3)] == [[0, 1, 2], [3, 4, 5], [6]]
    assert list(chunks([], 3)) == []


def test_turns_alternate_and_ratios_are_medians_of_pairs() -> None:
    order: list[str] = []
    costs = {"a": iter([2.0, 30.0, 4.0]), "b": iter([1.0, 10.0, 4.0])}

    def turn(name: str) -> Spent:
        order.append(name)
        wall = next(costs[name])
        return Spent(wall, wall * wall)

    turns = in_turns({"a": lambda: turn("a"), "b": lambda: turn("b")}, 3)
    assert order == ["a", "b", "b", "a", "a", "b"]
    assert ratio(turns, "a", "b") == 2.0
    assert ratio(turns, "a", "b", "cpu") == 4.0
    assert median(turns, "b") == 4.0


def test_the_demo_is_asked_about_some_users_once_each(tmp_path: Path) -> None:
    demo = yaml.safe_load(DEMO.read_text())
    path = tmp_path / "config.yaml"
    path.write_text(yaml.safe_dump(config_of(demo, tmp_path / "run", 5, 8)))
    config = read_config(path)
    assert config.generation is not None
    assert list(config.generation.sources) == [SOURCE]
    source = config.generation.sources[SOURCE]
    assert isinstance(source.engine, VllmOptions)
    asked = demo["generation"]["sources"][SOURCE]["engine"]
    assert (source.engine.model, source.engine.max_model_len) == (asked["model"], asked["max_model_len"])
    assert (source.users, source.tasks, config.generation.attempts) == (5, ("edges", "user_profile"), 1)
    assert (source.engine.max_num_seqs, source.engine.threads) == (8, 1)
    assert config.dataset.model_dump() == read_config(DEMO).dataset.model_dump()


def test_valid_is_what_its_schema_allows(requests: list[Request]) -> None:
    texts = {asked.name: '{"most_likely":1,"least_likely":3}' for asked in requests[:3]}
    texts[requests[3].name] = '{"most_likely":1,"least_likely":1}'
    texts[requests[4].name] = '{"most_likely":1,'
    assert valid_share(requests, texts) == 0.5


def test_a_batch_file_holds_the_requests_with_their_seeds(requests: list[Request], tmp_path: Path) -> None:
    augmentation_commands.write_batch(requests, tmp_path / "batch.jsonl")
    lines = [json.loads(line) for line in (tmp_path / "batch.jsonl").read_text().splitlines()]
    assert [line["custom_id"] for line in lines] == [asked.name for asked in requests]
    assert [line["body"]["seed"] for line in lines] == [asked.seed for asked in requests]
    assert lines[0]["body"]["max_tokens"] == requests[0].draft.answer.max_tokens
    out = tmp_path / "out.jsonl"
    refused = {"custom_id": "x", "response": {"status_code": 400, "body": None}, "error": "no"}
    out.write_text("".join(json.dumps(line) + "\n" for line in (result("k/1", "{}"), refused)))
    assert augmentation_commands.read_results(out) == {"k/1": "{}"}


def test_settings_become_flags() -> None:
    settings = {
        "model": "/m", "dtype": "auto", "quantization": None, "enforce_eager": True, "enable_chunked_prefill": False,
        "disable_log_stats": False, "structured_outputs_config": {"backend": "xgrammar"},
    }  # fmt: skip
    assert augmentation_commands.flags(settings) == [
        "--model=/m", "--dtype=auto", "--enforce-eager", "--no-enable-chunked-prefill",
        '--structured-outputs-config={"backend": "xgrammar"}',
    ]  # fmt: skip


def test_a_command_is_timed_with_its_children(tmp_path: Path) -> None:
    code = (
        "import subprocess, sys; subprocess.run([sys.executable, '-c', 'x = b\"1\" * 300_000_000; sum(range(10**6))'])"
    )
    ended = augmentation_commands.timed("child", [sys.executable, "-c", code], tmp_path / "log", {})
    assert ended.peak > 300_000_000
    assert ended.spent.wall > 0
    assert ended.spent.cpu > 0


def test_a_command_that_fails_is_named(tmp_path: Path) -> None:
    code = "print('no room left'); raise SystemExit(3)"
    with pytest.raises(AugrecError, match=r"broken failed with status 3[\s\S]*\nno room left"):
        augmentation_commands.timed("broken", [sys.executable, "-c", code], tmp_path / "log", {})


def turns_of(**walls: float) -> dict[str, list[Spent]]:
    return {name: [Spent(wall, wall)] * 2 for name, wall in walls.items()}


def test_the_tables_judge_what_has_a_target() -> None:
    names = (augmentation_inside.BARE, augmentation_inside.WINDOW, augmentation_inside.EXACT)
    walls = dict(zip((*names, augmentation_inside.CHUNKED), (10.0, 10.4, 11.0, 14.0), strict=True))
    shares = dict.fromkeys(walls, 1.0)
    steps = dict(zip(walls, (200, 200, 204, 290), strict=True))
    fed = augmentation_inside.Fed(80, turns_of(**walls), shares, shares, {}, steps, {augmentation_inside.EXACT: 0.25})
    judged = {found.name: found.ok for found in augmentation.feeding_results(fed) if found.ok is not None}
    assert judged == {
        "ours, exact: false / LLM.generate": True,
        "ours, exact: true / LLM.generate": False,
        "LLM.generate on chunks / ours, exact: false": True,
        **{f"{name}: valid answers": True for name in walls},
    }
    values = {found.name: found.value for found in augmentation.feeding_results(fed)}
    assert values["ours, exact: true / LLM.generate, steps"] == pytest.approx(1.02)
    assert values["ours, exact: true: CPU time outside the engine's steps"] == 0.25


def test_ways_that_were_not_measured_are_not_judged() -> None:
    both = (augmentation_inside.BARE, augmentation_inside.EXACT)
    shares = dict.fromkeys(both, 1.0)
    turns = turns_of(**dict(zip(both, (10.0, 10.1), strict=True)))
    fed = augmentation_inside.Fed(80, turns, shares, shares, {}, dict.fromkeys(both, 200), {})
    judged = [found.name for found in augmentation.feeding_results(fed) if " / " in found.name and found.ok is not None]
    assert judged == ["ours, exact: true / LLM.generate"]


def test_absent_runners_are_named_and_invalid_answers_fail() -> None:
    found = Compared(
        80,
        turns_of(**{OURS: 30.0, BARE: 28.0, RUN_BATCH: 60.0}),
        {OURS: 21 << 26, BARE: 20 << 26, RUN_BATCH: 1 << 30},
        {OURS: 1.0, BARE: 1.0, RUN_BATCH: 0.9},
        {DATATROVE: "not installed: `make bench` does"},
    )
    results = {result.name: result for result in augmentation.whole_results(found)}
    assert results[f"{RUN_BATCH} / {OURS}, whole command"].value == 2.0
    assert results[f"{BARE} / {OURS}, whole command"].ok is None
    assert results[DATATROVE].target == "not measured: not installed: `make bench` does"
    assert results[f"peak memory, {OURS} / {BARE}"].value == pytest.approx(1.05)
    more = results[f"{OURS} - {BARE}, whole command, CPU time"]
    assert (more.value, more.ok) == (2.0, True)
    assert results[f"{RUN_BATCH}: valid answers"].ok is False


def test_growth_is_per_request() -> None:
    cost = augmentation_around.Cost
    (growth, *_), *_ = [augmentation.around_results({800: cost(0.0024), 100: cost(0.002)})]
    assert growth.value == pytest.approx(1.2)
    assert growth.ok


def test_an_order_is_judged_by_the_time_of_scored_edges() -> None:
    ours, other = augmentation_inside.OURS, augmentation_inside.OTHER
    shares = {ours: 1.0, other: 1.0}

    def fed(seconds: float) -> augmentation_inside.Fed:
        turns = turns_of(**{ours: 10.0, other: seconds})
        return augmentation_inside.Fed(32, turns, shares, shares, {ours: 0.4, other: 0.1}, {}, {})

    results = {result.name: result for result in augmentation.ordering_results(fed(14.0), fed(11.0))}
    assert results[f"scored edges: {other} / {ours}"].ok is False
    assert results[f"edges and profiles: {other} / {ours}"].ok is None
    assert results["scored edges: prompt tokens computed, the same"].value == pytest.approx(1.5)


@pytest.mark.parametrize(
    ("block", "cached", "tokens"),
    [
        (1, 100, 6 + 2 + 1 + 6),  # every common beginning once, and the last token of a prompt that was there
        (2, 100, 6 + 2 + 2 + 6),  # 1 2 3 4, and of the whole prompt no more
        (4, 100, 6 + 2 + 2 + 6),
        (4, 3, 6 + 6 + 6 + 6),  # no block fits
        (1, 6, 6 + 2 + 1 + 6),
    ],
)
def test_tokens_left_to_compute_by_hand(block: int, cached: int, tokens: int) -> None:
    first, second = (1, 2, 3, 4, 5, 6), (1, 2, 3, 4, 7, 8)
    assert computed([first, second, second, (9, 2, 3, 4, 5, 6)], block, cached) == tokens


def test_a_cache_that_holds_one_prompt_forgets_the_one_before() -> None:
    first, second = tuple(range(8)), tuple(range(10, 18))
    assert computed([first, second, first], 2, 8) == 24
    assert computed([first, first, second, second], 2, 8) == 8 + 2 + 8 + 2
    assert computed([first, second, first], 2, 16) == 8 + 8 + 2


def test_the_bound_of_an_order_is_shown_beside_it() -> None:
    shared = Shared(ours=50, other=75, ours_by_token=40, other_by_token=72)
    ours, bound = augmentation.sharing_results("edges", shared)
    assert (ours.value, bound.value) == (1.5, 1.8)
    assert ours.ok is bound.ok is None
