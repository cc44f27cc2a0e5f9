"""What the licence of a database asks of those who show its data, and for how long it may be kept.

``kinds`` knows the licences by the names of sources, ``named`` what the setting ``SOURCES`` adds,
``texts`` takes the ``source`` of an answer apart, and ``limits`` says what is too old.
"""
