"""Objects that need not be fetched: ``searching`` finds what lies here, ``adopting`` takes and verifies it.

``leftovers`` are those that other programs have begun and that are not whole.
"""
