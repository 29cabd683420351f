"""`augrec doctor`: what is here, what is missing, and what does not fit."""
