"""How well does the core judge machines whose truth is known?"""
