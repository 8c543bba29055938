"""A six-car metro train, four motor cars: the second demo machine."""
