"""How long do parts last, and how much of the time is a machine there? Life data and availability, by library."""
