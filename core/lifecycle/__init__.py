"""A serial number's whole life: where it was built in, what it ran, what was done to it, what it has become. Pure."""
