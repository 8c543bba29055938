"""How long will it last? Remaining life as P10, P50 and P90, in the equipment's own clock and in calendar time.

Three kinds of knowledge, one answer (:class:`~models.prognosis.answer.RemainingLife`):

- :mod:`~models.prognosis.regression`: machines like this one were run to failure before;
- :mod:`~models.prognosis.trend`: nobody ever let one fail, but a measured value creeps towards a known limit;
- :mod:`~models.prognosis.survival`: only events are known: errors, services, failures, and how long the others have
  held.
"""
