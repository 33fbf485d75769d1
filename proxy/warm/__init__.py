"""Warming: what was asked before, from lists, logs and HAR files, is asked of a running proxy, so that it is stored."""
