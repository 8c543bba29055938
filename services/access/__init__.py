"""Who may come in: keys, users, the issuers that vouch for them, and the log of what they did."""
