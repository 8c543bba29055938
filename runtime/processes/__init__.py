"""The processes that the supervisor starts, each a few lines: read where things are, wire, run until SIGTERM.

``python -m runtime.processes.api HOME``, ``… ingest HOME``, ``… publisher HOME``. Each says on standard output (its
log) what a person would ask it.
"""
