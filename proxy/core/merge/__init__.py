"""Merge strategies: parts → one Response. None is built yet."""
