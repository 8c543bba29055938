"""What was measured and what happened: points, readings, latest values, gaps, events, and what could not be used."""
