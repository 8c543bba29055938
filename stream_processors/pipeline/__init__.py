"""The processing core: `(state, batch | tick) -> (state, outcome)`, pure and columnar.

In order: manipulation (quality, plausibility, units), detection, health, prognosis, advisory. Imports only `core` and
`models`; knows neither host, nor database, nor clock.
"""
