"""Where models and data come from, offline: local folders, GGUF files, installed packages, the local hub cache."""

from augrec.artefacts.cache import cache_folder
from augrec.pipeline.weights.resolve import ResolvedModel, find_folder, find_model, resolve, resolve_path

__all__ = ["ResolvedModel", "cache_folder", "find_folder", "find_model", "resolve", "resolve_path"]
