"""The excavator of the demonstration: shifts, cycles, fuel, position."""
