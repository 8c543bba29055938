"""Trains: trouble codes and how to search by them, who stands where, kilometres between failures."""
