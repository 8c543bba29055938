"""The demonstration: a simulated fleet with seeded faults, and the verdict whether each was told and nothing else
was."""
