"""What a language model is asked for. A new task is a file here, a template in `augment/prompts`, a line below."""

from typing import Any

from augment.tasks.base import Task
from augment.tasks.edges import Edges
from augment.tasks.item_attributes import ItemAttributes
from augment.tasks.user_profile import UserProfile

_ALL: tuple[Any, ...] = (Edges, UserProfile, ItemAttributes)
TASKS: dict[str, type[Task]] = {task.name: task for task in _ALL}

__all__ = ["TASKS", "Task"]
