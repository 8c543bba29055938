"""What the stream would have said of history: run over it, and judged by what happened."""
