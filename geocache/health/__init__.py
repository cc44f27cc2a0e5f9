"""Is all well? What is wrong, how bad it is, and which page says what to do."""
