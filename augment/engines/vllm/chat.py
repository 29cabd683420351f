"""Chat messages to token ids, by the model's own template."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from augment.engines.vllm.process_environment import collections_put_off
from augment.messages import Message, Messages
from augrec.artefacts.errors import UsageError
from augrec.artefacts.files import digest, sha256_files
from augrec.artefacts.visible import one_line

FILES = (
    *("tokenizer.json", "tokenizer.model", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json"),
    *("vocab.json", "merges.txt", "spiece.model", "vocab.txt", "sentencepiece.bpe.model", "tekken.json"),
    *("chat_template.jinja", "chat_template.json", "additional_chat_templates/*.jinja"),
)
"""Files that a tokenizer and its chat template may be made of."""
SYSTEM_CANARY, USER_CANARY = "The system says amber.", "The user says cobalt."


def tokenizer_sha256(folder: str | Path) -> str:
    """The sha256 over names and bytes of what turns messages into tokens in a folder, wherever the folder lies.

    Raises:
        UsageError: there is nothing of the kind.
    """
    root = Path(folder).expanduser()
    files = [path for pattern in FILES for path in root.glob(pattern) if path.is_file()]
    if not files:
        raise UsageError("the folder holds no tokenizer", where=folder, remedy=TOKENIZER_REMEDY)
    return sha256_files(root, files)


TOKENIZER_REMEDY = "point `model` (or `tokenizer`) at a folder in Hugging Face format"


class Chat:
    """The tokenizer and chat template of a local model folder.

    Templates that know no system role (Gemma's) or pass over it in silence get the system text at the head of the
    user's; it is still a shared beginning. A text that the template then leaves out is an error.
    """

    def __init__(self, folder: str | Path, template_kwargs: dict[str, Any]) -> None:
        with collections_put_off():
            from transformers import AutoTokenizer
        try:
            self._tokenizer = AutoTokenizer.from_pretrained(str(folder), local_files_only=True)
        except Exception as error:  # of a damaged file each library raises its own, some of them bare ones
            raise UsageError(
                f"the folder holds no tokenizer that can be read ({_reason(error)})",
                where=folder,
                remedy=TOKENIZER_REMEDY,
            ) from None
        if not getattr(self._tokenizer, "chat_template", None):
            raise UsageError(
                "the model has no chat template",
                where=folder,
                remedy="use an instruction-tuned model, or a `tokenizer` folder with a chat_template.jinja",
            )
        self._folder, self._kwargs = Path(folder), template_kwargs
        self._system = self._has_system_role()
        try:
            self.tokens((Message("system", SYSTEM_CANARY), Message("user", USER_CANARY)))
        except UsageError:
            raise
        except Exception as error:  # a template is a program of somebody else
            what = f"the chat template cannot be applied ({_reason(error)})"
            raise UsageError(
                what, where=folder, remedy="get the tokenizer's files again, or mend the template"
            ) from None

    def tokens(self, messages: Messages) -> tuple[int, ...]:
        """Ids of the prompt, up to where the model's answer begins."""
        if not self._system and any(message.role == "system" for message in messages):
            system = "\n\n".join(message.content for message in messages if message.role == "system")
            rest = [message for message in messages if message.role != "system"]
            messages = (Message("user", f"{system}\n\n{rest[0].content}"), *rest[1:])
        return self._apply(messages)

    def text(self, messages: Messages) -> str:
        """The prompt as the model reads it, with the template's own marks."""
        return str(self._tokenizer.decode(list(self.tokens(messages))))

    @cached_property
    def fingerprints(self) -> dict[str, str]:
        """Hashes of what turns messages into tokens: the tokenizer's files, and the template as it is applied."""
        template = self._tokenizer.chat_template
        return {
            "tokenizer_sha256": tokenizer_sha256(self._folder),
            "chat_template_sha256": hashlib.sha256(template.encode()).hexdigest()
            if isinstance(template, str)
            else digest(template),
        }

    def label_ids(self, labels: Sequence[str]) -> tuple[int, ...]:
        """The token of each label where an answer begins.

        Raises:
            UsageError: a label is not one token of its own there.
        """
        prompt, before = self._beginning
        after = {label: self._tokenizer.encode(prompt + label, add_special_tokens=False) for label in labels}
        split = [label for label, ids in after.items() if ids[:-1] != before]
        if split or len({ids[-1] for ids in after.values()}) < len(labels):
            named = ", ".join(split[:5]) or "some of them"
            raise UsageError(
                f"labels must be one token each where an answer begins, and for this tokenizer {named} are not",
                where=self._folder,
                remedy="set generation.tasks.edges.mode: choose, or fewer candidates",
            )
        return tuple(ids[-1] for ids in after.values())

    def answer_tokens(self, text: str) -> tuple[int, ...]:
        """Ids of a whole answer as the model would write it after a prompt, the token that ends it included.

        Raises:
            UsageError: the tokenizer names no token that ends a text.
        """
        end = self._tokenizer.eos_token_id
        if end is None:
            raise UsageError("the tokenizer has no token that ends an answer (eos_token)", where=self._folder,
                             remedy=TOKENIZER_REMEDY)  # fmt: skip
        prompt, before = self._beginning
        whole = self._tokenizer.encode(prompt + text, add_special_tokens=False)
        apart = whole[: len(before)] != before  # the answer's first letters were joined to the prompt's last
        own = self._tokenizer.encode(text, add_special_tokens=False) if apart else whole[len(before) :]
        return (*own, end)

    @cached_property
    def _beginning(self) -> tuple[str, list[int]]:
        """Some prompt up to where an answer begins, as text and as tokens."""
        asked = [{"role": "user", "content": "?"}]
        template = self._tokenizer.apply_chat_template
        prompt = str(template(asked, add_generation_prompt=True, tokenize=False, **self._kwargs))
        return prompt, self._tokenizer.encode(prompt, add_special_tokens=False)

    def plain_tokens(self, text: str) -> tuple[int, ...]:
        """Ids of a text as it would stand in a document: without the template, with what the tokenizer begins with."""
        return tuple(self._tokenizer(text)["input_ids"])

    def _apply(self, messages: Messages) -> tuple[int, ...]:
        lost = self._lost(messages)
        if lost is not None:
            raise UsageError(
                f"the chat template leaves out the {lost.role}'s text {lost.content[:60]!r}",
                where=self._folder,
                remedy="mend the template, or name a `tokenizer` folder with one that shows every message",
            )
        ids = self._tokenizer.apply_chat_template(
            [message._asdict() for message in messages],
            add_generation_prompt=True,
            tokenize=True,
            return_dict=False,
            **self._kwargs,
        )
        return tuple(ids)

    def _lost(self, messages: Messages) -> Message | None:
        """The first message whose text is not in the prompt, white space aside."""
        template, asked = self._tokenizer.apply_chat_template, [message._asdict() for message in messages]
        shown = str(template(asked, add_generation_prompt=True, tokenize=False, **self._kwargs))
        for message in messages:
            if message.content.strip() not in shown and _dense(message.content) not in _dense(shown):
                return message
        return None

    def _has_system_role(self) -> bool:
        import jinja2

        try:
            return self._lost((Message("system", SYSTEM_CANARY), Message("user", USER_CANARY))) is None
        except (jinja2.TemplateError, TypeError):
            return False


def _reason(error: Exception) -> str:
    return one_line(str(error), 300) or type(error).__name__


def _dense(text: str) -> str:
    return "".join(text.split())
