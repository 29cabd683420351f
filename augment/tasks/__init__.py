"""What a language model is asked for. A new task is a file here, a template in `augment/prompts`, a line below."""

from augment.tasks.base import Task, card_of
from augment.tasks.catalogue_entry import CatalogueEntry
from augment.tasks.edges import Edges
from augment.tasks.item_attributes import ItemAttributes
from augment.tasks.item_profile import ItemProfile
from augment.tasks.pair import Pair
from augment.tasks.pick import Pick
from augment.tasks.ranking import Ranking
from augment.tasks.rating import Rating
from augment.tasks.reasons import Reasons
from augment.tasks.user_profile import UserProfile
from augrec.artefacts.registry import Registry

TASKS: Registry[type[Task]] = Registry("task")
for _task in (Edges, UserProfile, ItemAttributes, ItemProfile, Reasons, Ranking, Pair, Pick, Rating, CatalogueEntry):
    TASKS.register(_task)

LLMREC = (Edges.name, UserProfile.name, ItemAttributes.name)
"""LLMRec's tasks: what a source is asked unless its config says more."""

__all__ = ["LLMREC", "TASKS", "Task", "card_of"]
