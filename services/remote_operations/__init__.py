"""How is a machine acted on from afar, safely? Commands, inhibits, permits, twins."""
