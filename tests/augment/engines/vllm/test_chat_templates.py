"""Every message's text reaches the model, or the engine says which does not."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from augment.engines.vllm.chat import Chat, tokenizer_sha256
from augment.messages import Message
from augrec.artefacts.errors import UsageError
from tests.kit.chat_folders import CHATML, write_tokenizer

pytest.importorskip("transformers")

SYSTEM, USER = Message("system", "Answer in JSON only."), Message("user", "Name three films.")
SILENT = CHATML.replace("{% for message in messages %}", "{% for message in messages if message.role != 'system' %}")
REFUSING = "{% if messages[0].role == 'system' %}{{ raise_exception('no system role') }}{% endif %}" + CHATML
FIXED = "{% for message in messages %}{% if message.role == 'system' %}<|im_start|>system\nBe kind.<|im_end|>\n"
FIXED += "{% else %}<|im_start|>user\n{{ message.content }}<|im_end|>\n{% endif %}{% endfor %}<|im_start|>assistant\n"
LAST_ONLY = "<|im_start|>user\n{{ messages[-1].content }}<|im_end|>\n<|im_start|>assistant\n"


def shown(folder: Path, *messages: Message) -> str:
    """The prompt as text."""
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(folder).decode(Chat(folder, {}).tokens(messages))


@pytest.mark.parametrize("template", [CHATML, SILENT, REFUSING, FIXED, LAST_ONLY])
def test_the_system_text_is_in_the_prompt_whatever_the_template_does_with_it(tmp_path: Path, template: str) -> None:
    prompt = shown(write_tokenizer(tmp_path, template), SYSTEM, USER)
    assert prompt.count(SYSTEM.content) == prompt.count(USER.content) == 1
    assert prompt.index(SYSTEM.content) < prompt.index(USER.content)


def test_a_template_with_a_system_role_keeps_it(tmp_path: Path) -> None:
    assert f"system\n{SYSTEM.content}<|im_end|>" in shown(write_tokenizer(tmp_path), SYSTEM, USER)


def test_a_question_without_a_system_text_stays_as_it_is(tmp_path: Path) -> None:
    assert f"user\n{USER.content}<|im_end|>" in shown(write_tokenizer(tmp_path, SILENT), USER)


@pytest.mark.parametrize(
    "template",
    [
        "<|im_start|>assistant\n",
        CHATML.replace("message['content']", "message['content'] | upper"),
        CHATML.replace("message['content']", "message['content'][:10]"),
        CHATML.replace("message['content']", "message.text"),
    ],
    ids=["constant", "changed", "cut", "another field"],
)
def test_a_template_that_loses_text_is_refused_at_once(tmp_path: Path, template: str) -> None:
    folder = write_tokenizer(tmp_path, template)
    with pytest.raises(UsageError, match="chat template leaves out") as error:
        Chat(folder, {})
    assert error.value.where == str(folder)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("tokenizer.json", '{"version": "1.0", "model": {}}', "no tokenizer that can be read"),
        ("tokenizer.json", "", "no tokenizer that can be read"),
        ("tokenizer_config.json", '{"tokenizer_class": ', "no tokenizer that can be read"),
        ("chat_template.jinja", "{% for message in", "chat template cannot be applied"),
        ("chat_template.jinja", "{{ messages[0].content + 1 }}", "chat template cannot be applied"),
        ("chat_template.jinja", "{{ nothing(messages) }}", "chat template cannot be applied"),
    ],
)
def test_a_damaged_tokenizer_is_named(tmp_path: Path, name: str, content: str, message: str) -> None:
    folder = write_tokenizer(tmp_path, CHATML)
    (folder / name).write_text(content)
    with pytest.raises(UsageError, match=message) as error:
        Chat(folder, {})
    assert error.value.where == str(folder)


def test_a_template_that_loses_some_messages_is_refused_with_them(tmp_path: Path) -> None:
    template = CHATML.replace("message['content']", "message['content'] if message['content'] | length < 60 else ''")
    chat = Chat(write_tokenizer(tmp_path, template), {})
    chat.tokens((SYSTEM, USER))
    with pytest.raises(UsageError, match=r"leaves out the user's text 'Name three films\. And"):
        chat.tokens(
            (SYSTEM, Message("user", "Name three films. And why you like them, one line for each of the three."))
        )


def test_a_template_may_trim_and_fold_white_space(tmp_path: Path) -> None:
    template = CHATML.replace("message['content']", "message['content'].split() | join(' ')")
    folder = write_tokenizer(tmp_path, template)
    assert "one two" in shown(folder, SYSTEM, Message("user", "  one\n\ntwo \n"))


@pytest.fixture(scope="module")
def plain_chat(tmp_path_factory: pytest.TempPathFactory) -> Chat:
    return Chat(write_tokenizer(tmp_path_factory.mktemp("plain")), {})


@given(text=st.text(alphabet=st.characters(codec="utf-8", exclude_characters="\0"), min_size=1))
def test_any_text_survives_a_plain_template(plain_chat: Chat, text: str) -> None:
    assert plain_chat.tokens((SYSTEM, Message("user", text)))


@pytest.mark.parametrize("text", ['{"order":[2,1,3]}', "Amélie \N{CLAPPER BOARD}", " 4 "])
def test_an_answer_is_read_back_as_it_was_written_and_then_ends(tmp_path: Path, text: str) -> None:
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(write_tokenizer(tmp_path))
    *written, end = Chat(tmp_path, {}).answer_tokens(text)
    assert tokenizer.decode(written, clean_up_tokenization_spaces=False) == text
    assert end == tokenizer.eos_token_id


def test_a_tokenizer_that_ends_nothing_cannot_be_taught(tmp_path: Path) -> None:
    folder = write_tokenizer(tmp_path)
    config = json.loads((folder / "tokenizer_config.json").read_text())
    (folder / "tokenizer_config.json").write_text(json.dumps(config | {"eos_token": None}))
    with pytest.raises(UsageError, match="no token that ends an answer"):
        Chat(folder, {}).answer_tokens("4")


def test_a_label_is_the_token_that_is_scored(plain_chat: Chat) -> None:
    for label in "ABC":
        assert plain_chat.answer_tokens(label)[:-1] == plain_chat.label_ids([label])


def test_a_tokenizer_is_known_by_its_content_wherever_it_lies(tmp_path: Path) -> None:
    first = write_tokenizer(tmp_path / "first")
    second = Path(shutil.copytree(first, tmp_path / "second"))
    assert tokenizer_sha256(first) == tokenizer_sha256(str(second))
    (second / "README.md").write_text("notes")
    assert tokenizer_sha256(first) == tokenizer_sha256(second)
    other = write_tokenizer(tmp_path / "other", SILENT)
    assert tokenizer_sha256(first) != tokenizer_sha256(other)
    (second / "tokenizer.json").write_text((second / "tokenizer.json").read_text() + " ")
    assert tokenizer_sha256(first) != tokenizer_sha256(second)


def test_a_folder_without_a_tokenizer_has_no_hash(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no tokenizer"):
        tokenizer_sha256(tmp_path / "absent")
