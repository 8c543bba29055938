"""What is a machine's use sold for, and what is due? Contracts, records, statements, energy, figures of the firm."""
