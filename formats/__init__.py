"""How do bytes from the outside become objects of the core, and how do these become bytes again?

JSON, Sparkplug B, waveforms, cycles, mapping profiles and the batch on the log. No I/O: bytes in, objects or reasons
for refusal out. (`codecs` would be the natural name, but Python's own module of that name cannot be shadowed.)
"""
