"""What crosses process borders: message models, topics, codec. Pure: no I/O, no clock, no randomness."""
