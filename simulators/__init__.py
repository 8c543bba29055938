"""What would a real fleet have sent?

Simulated machines with faults of known time and place: true state, then sensor, then publisher, deterministic for a
seed, with a log of the truth to judge detectors by.
"""
