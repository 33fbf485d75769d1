"""Splitters: one composite Query → parts. None is built yet."""
