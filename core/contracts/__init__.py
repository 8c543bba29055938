"""Contracts in which a machine's use is sold: terms, metering, guarantees, statements. Pure; money and quantities are
decimals, times are microseconds UTC, days are the contract's own."""
