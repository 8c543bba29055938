"""Who hears of it: numbered events, and their stream to clients."""
