"""Normal behaviour: what each sensor should read, given the others and how the machine is driven; and which one does
not.

* :mod:`models.normal.behaviour`: the model of a type, learned from healthy histories, and the scoring of a fleet.
* :mod:`models.normal.state`: what is remembered of each machine between two frames, plain arrays.
* :mod:`models.normal.operating`: sensors from the operating point, by regime.
* :mod:`models.normal.spread`: how far healthy residuals lie apart at once, and how far they wander.
* :mod:`models.normal.estimators`: other ways to expect a sensor from the others, behind one protocol.
* :mod:`models.normal.words`: a score in words.
"""
