"""From advisory to finished work: what should be done by when, by whom, with what; done, proven by telemetry, learned
from."""
