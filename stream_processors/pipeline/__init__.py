"""The processing core: `(state, batch | tick) -> (state, outcome)`, pure and columnar.

In order: manipulation (quality, watermark, release), plausibility, detection, derived points and states, health,
grouping. Imports only `core` and `models`; knows neither host, nor database, nor clock.
"""

from stream_processors.pipeline.processor import Processor

__all__ = ["Processor"]
