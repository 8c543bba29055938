"""Sparkplug B: topics, payloads as columns, and the mapping profile that says whose equipment a group's devices are.

What the messages mean together (sessions, sequence, births) is in :mod:`ingest.sparkplug`.
"""
