"""Chat messages to token ids, by the model's own template."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from artefacts.errors import UsageError
from augment.shapes import Message, Messages


class Chat:
    """The tokenizer and chat template of a local model folder.

    Templates that know no system role (Gemma's) get the system text at the head of the user's; it is still a shared
    beginning.
    """

    def __init__(self, folder: str | Path, template_kwargs: dict[str, Any]) -> None:
        from transformers import AutoTokenizer

        try:
            self._tokenizer = AutoTokenizer.from_pretrained(str(folder), local_files_only=True)
        except (OSError, ValueError) as error:
            raise UsageError(
                f"the folder holds no tokenizer ({str(error).splitlines()[0]})",
                where=folder,
                remedy="point `model` (or `tokenizer`) at a folder in Hugging Face format",
            ) from None
        if not getattr(self._tokenizer, "chat_template", None):
            raise UsageError(
                "the model has no chat template",
                where=folder,
                remedy="use an instruction-tuned model, or a `tokenizer` folder with a chat_template.jinja",
            )
        self._kwargs = template_kwargs
        self._system = self._has_system_role()

    def tokens(self, messages: Messages) -> tuple[int, ...]:
        """Ids of the prompt, up to where the model's answer begins."""
        if not self._system:
            system = "\n\n".join(message.content for message in messages if message.role == "system")
            rest = [message for message in messages if message.role != "system"]
            messages = (Message("user", f"{system}\n\n{rest[0].content}"), *rest[1:])
        return self._apply(messages)

    def _apply(self, messages: Messages) -> tuple[int, ...]:
        ids = self._tokenizer.apply_chat_template(
            [message._asdict() for message in messages],
            add_generation_prompt=True,
            tokenize=True,
            return_dict=False,
            **self._kwargs,
        )
        return tuple(ids)

    def _has_system_role(self) -> bool:
        import jinja2

        try:
            self._apply((Message("system", "a"), Message("user", "b")))
        except jinja2.TemplateError:
            return False
        return True
