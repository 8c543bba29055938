"""Where to import from: the two fleets and the words they speak.

>>> fleet = CompressorTrainFleet(seeds=[1, 2], start=1_700_000_000_000_000)
>>> fleet.advance(3).values.shape == (3, 2, len(CompressorTrainFleet.POINTS))
True
"""

from simulators.compressor.fleet import CompressorTrainFleet
from simulators.contract import NEVER, Channel, Fault, FaultPlan, Frames, PointSpec, Truth
from simulators.metro.fleet import MetroTrainFleet

__all__ = [
    "NEVER",
    "Channel",
    "CompressorTrainFleet",
    "Fault",
    "FaultPlan",
    "Frames",
    "MetroTrainFleet",
    "PointSpec",
    "Truth",
]
