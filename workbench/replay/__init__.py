"""Recordings sent again through the real broker, in the foreign form they have, by the mapping profile that reads it.

`recordings` turns files into messages, `publisher` sends them, `command` is what ``servitize replay`` calls.
"""
