"""What is upkeep by advisories worth? A year of fifty machines under several policies, with the same lives."""
