"""Where does everything stay, and how is it found again?

Migrations and queries as SQL files, the writer that stores a batch in one transaction, readers, the choice of engine
(plain PostgreSQL or TimescaleDB) and the model registry. Implements ports of the core.
"""
