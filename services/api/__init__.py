"""The HTTP interface: who asks, what they may, how answers and refusals look. What is asked for lives in the domain
rooms."""
