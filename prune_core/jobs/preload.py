"""Imported once by the process that workers are forked from, so that a new worker is there in a blink."""

from prune_core.jobs.worker import warm

warm()
